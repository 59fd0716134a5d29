//! Why nobody can answer for a Service that an L2Advertisement covers.

use crds::names::announced_reason;

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unserved {
    /// None of the Services with the address has an endpoint that is ready.
    NoEndpoints,
    /// No node at all can announce: none is ready, or none has a speaker at work.
    NoSpeaker,
    /// No node that can announce is selected by the advertisements, or has one of their interfaces.
    NoNode,
    /// Of those that are selected none has an endpoint, and traffic is to stay on the node.
    NoLocalEndpoint,
}

impl Unserved {
    /// Each of them.
    pub const ALL: [Self; 4] =
        [Self::NoEndpoints, Self::NoSpeaker, Self::NoNode, Self::NoLocalEndpoint];

    /// The condition's reason.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoEndpoints => announced_reason::NO_ENDPOINTS,
            Self::NoSpeaker => announced_reason::NO_SPEAKER,
            Self::NoNode => announced_reason::NO_NODE,
            Self::NoLocalEndpoint => announced_reason::NO_LOCAL_ENDPOINT,
        }
    }

    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoEndpoints => "no endpoint is ready (kubectl get endpointslices)",
            Self::NoSpeaker => "no node has a speaker at work (kubectl get speakers -A)",
            Self::NoNode => {
                "no node that could is selected by the L2Advertisements' nodeSelectors and interfaces"
            }
            Self::NoLocalEndpoint => {
                "no node that may announce it has a ready endpoint, and externalTrafficPolicy is Local"
            }
        }
    }
}
