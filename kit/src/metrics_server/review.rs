//! The two questions to the API server.

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};

/// Whose `token` is; `None`: nobody's.
///
/// # Errors
/// The client's, when the API server cannot be asked.
pub(super) async fn identify(client: &Client, token: &str) -> kube::Result<Option<UserInfo>> {
    let spec = TokenReviewSpec { token: token.to_owned(), audiences: None };
    let review = TokenReview { spec, ..TokenReview::default() };
    let reviews: Api<TokenReview> = Api::all(client.clone());
    let status = reviews.create(&PostParams::default(), &review).await?.status.unwrap_or_default();
    Ok(status.user.filter(|_| status.authenticated == Some(true)))
}

/// Whether `user` may `get` the path `/metrics`.
///
/// # Errors
/// The client's, when the API server cannot be asked.
pub(super) async fn authorise(client: &Client, user: &UserInfo) -> kube::Result<bool> {
    let UserInfo { username, groups, uid, extra } = user.clone();
    let what =
        NonResourceAttributes { path: Some("/metrics".to_owned()), verb: Some("get".to_owned()) };
    let spec = SubjectAccessReviewSpec {
        user: username,
        groups,
        uid,
        extra,
        non_resource_attributes: Some(what),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    let answer = reviews.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
