//! What the API server asks and how it is answered: `AdmissionReview` of `admission.k8s.io/v1`, as far
//! as anything is read of it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::review::Verdict;

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// The question.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// Which question it is; the answer repeats it.
    pub uid: String,
    /// What kind of object it is about.
    pub kind: GroupKind,
    /// What is to be done.
    pub operation: Operation,
    /// Where.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The object as it is to be; absent when it is to be deleted.
    #[serde(default)]
    pub object: Option<Value>,
    /// The object as it is; absent when it is to be made.
    #[serde(default)]
    pub old_object: Option<Value>,
}

/// A kind of object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct GroupKind {
    /// Its API group.
    pub group: String,
    /// Its name.
    pub kind: String,
}

/// What is to be done with the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// It is to be made.
    Create,
    /// It is to be changed.
    Update,
    /// It is to be deleted.
    Delete,
    /// Something is to be connected to it; no kind of ours has that.
    Connect,
}

/// Why a question cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// It cannot be read.
    #[error("not an {KIND}: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// It is something else, or of another version.
    #[error("{kind} of {api_version} is not {KIND} of {API_VERSION}")]
    Other {
        /// What it says it is.
        kind: String,
        /// Of which version.
        api_version: String,
    },
    /// It asks nothing.
    #[error("the {KIND} has no request")]
    Empty,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    api_version: String,
    kind: String,
    #[serde(default)]
    request: Option<Question>,
}

/// Reads the body of a request.
///
/// # Errors
/// [`Malformed`] when it is no question.
pub fn read(body: &[u8]) -> Result<Question, Malformed> {
    let Envelope { api_version, kind, request } = serde_json::from_slice(body)?;
    if api_version != API_VERSION || kind != KIND {
        return Err(Malformed::Other { kind, api_version });
    }
    request.ok_or(Malformed::Empty)
}

/// The body of the answer.
pub fn answer(question: &Question, verdict: &Verdict) -> Value {
    let mut response = json!({
        "uid": question.uid,
        "allowed": verdict.denial.is_none(),
        "warnings": verdict.warnings,
    });
    if let Some(denial) = &verdict.denial {
        response["status"] =
            json!({"code": 403, "reason": "Forbidden", "message": denial.to_string()});
    }
    json!({"apiVersion": API_VERSION, "kind": KIND, "response": response})
}

#[cfg(test)]
mod tests {
    use super::super::review::Denial;
    use super::*;

    fn question() -> Value {
        json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "u-1",
                "kind": {"group": "metallb.io", "version": "v1beta1", "kind": "IPAddressPool"},
                "resource": {"group": "metallb.io", "version": "v1beta1", "resource": "ipaddresspools"},
                "name": "p", "namespace": "metallb-system", "operation": "CREATE",
                "userInfo": {"username": "someone"},
                "object": {"metadata": {"name": "p"}}, "oldObject": null, "dryRun": true,
            },
        })
    }

    #[test]
    fn the_answer_repeats_which_question_it_is_to() {
        let question = read(question().to_string().as_bytes()).unwrap();
        assert_eq!(question.operation, Operation::Create);
        assert_eq!(question.old_object, None);
        let allowed = answer(&question, &Verdict::default());
        let response = json!({"uid": "u-1", "allowed": true, "warnings": []});
        assert_eq!(allowed["response"], response);
        let denied =
            answer(&question, &Verdict::denied(Denial::OtherNamespace { home: "h".to_owned() }));
        assert_eq!(denied["response"]["allowed"], false);
        let message = "resource must be created in h namespace";
        assert_eq!(denied["response"]["status"]["message"], message);
    }

    #[test]
    fn what_is_no_question_is_said_to_be_none() {
        let mut other = question();
        other["apiVersion"] = json!("admission.k8s.io/v1beta1");
        let mut empty = question();
        empty["request"] = Value::Null;
        for (body, why) in [
            ("{".to_owned(), "not an AdmissionReview"),
            ("[]".to_owned(), "not an AdmissionReview"),
            (other.to_string(), "AdmissionReview of admission.k8s.io/v1beta1 is not"),
            (empty.to_string(), "has no request"),
        ] {
            let error = read(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{body}: {error}");
        }
    }
}
