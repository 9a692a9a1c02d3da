//! The apps that are started, and how each is warmed.

use serde_json::{Value, json};

/// What users visit, in turn.
pub(crate) const PATHS: [&str; 6] = [
    "/",
    "/search?q=copper+kettle",
    "/invoice?customer=42",
    "/login?name=ada",
    "/statistics?year=3",
    "/feed?page=4",
];

/// An app under some conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scene {
    /// The Java app with all cores of the node
    Java,
    /// The same with one core as its limit
    LimitedJava,
    /// The Python app
    Python,
}

impl Scene {
    pub(crate) const ALL: [Self; 3] = [Self::Java, Self::LimitedJava, Self::Python];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Java => "java",
            Self::LimitedJava => "limited-java",
            Self::Python => "python",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Java => "Java",
            Self::LimitedJava => "Java, with a CPU limit of one core",
            Self::Python => "Python",
        }
    }

    /// What the names of this scene's figures begin with.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Java => "",
            Self::LimitedJava => "limited_",
            Self::Python => "python_",
        }
    }

    /// Starts of each kind, where `starts` are wanted: the limit is there to be explained, not to be judged.
    pub(crate) fn starts(self, starts: usize) -> usize {
        if self == Self::LimitedJava { starts.min(2) } else { starts }
    }

    pub(crate) fn warmths(self) -> &'static [Warmth] {
        match self {
            Self::Java => &[Warmth::Unwarmed, Warmth::Default, Warmth::Stable],
            Self::LimitedJava | Self::Python => &[Warmth::Unwarmed, Warmth::Stable],
        }
    }

    /// The pod's only container.
    pub(crate) fn container(self) -> Value {
        let image = match self {
            Self::Java | Self::LimitedJava => "localhost/kube-booster/jvm-app:1",
            Self::Python => "localhost/kube-booster/python-app:1",
        };
        let mut resources = json!({"requests": {"cpu": "100m", "memory": "256Mi"}});
        if self == Self::LimitedJava {
            resources["limits"] = json!({"cpu": "1"});
        }
        json!({
            "name": "app", "image": image, "ports": [{"name": "http", "containerPort": 8080}], "resources": resources,
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
        })
    }
}

/// How a pod is warmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Warmth {
    /// Not at all
    Unwarmed,
    /// By the one annotation that turns it on: three requests to `/`, spread over 30 s
    Default,
    /// All paths, until the latency is stable
    Stable,
}

impl Warmth {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unwarmed => "unwarmed",
            Self::Default => "default",
            Self::Stable => "stable",
        }
    }

    pub(crate) fn annotations(self) -> Value {
        match self {
            Self::Unwarmed => json!({}),
            Self::Default => json!({"kube-booster.io/warmup": "enabled"}),
            Self::Stable => json!({
                "kube-booster.io/warmup": "enabled",
                "kube-booster.io/warmup-endpoint": PATHS.join(" "),
                "kube-booster.io/warmup-until": "stable",
            }),
        }
    }
}
