//! The configuration of an image: what runs, and by which steps it was built.

use oci::json;
use serde::Deserialize;
use serde_json::Value;

/// The configuration of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageView {
    /// As it was pushed.
    pub config: Value,
    /// The steps that built it, oldest first.
    pub history: Vec<HistoryStep>,
}

/// One step of a build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryStep {
    /// When, as written.
    pub created: Option<String>,
    /// The command.
    pub created_by: Option<String>,
    /// A remark.
    pub comment: Option<String>,
    /// The index of the layer that it made, if it made one.
    pub layer: Option<usize>,
}

#[derive(Deserialize)]
struct ConfigStep {
    created: Option<String>,
    created_by: Option<String>,
    comment: Option<String>,
    #[serde(default)]
    empty_layer: bool,
}

impl ImageView {
    /// Reads a configuration of an image with this many layers; `None` if it is not a JSON object.
    pub fn parse(bytes: &[u8], layers: usize) -> Option<Self> {
        let config: Value = json::from_slice(bytes).ok().filter(Value::is_object)?;
        let steps = config.get("history").cloned().and_then(|steps| Vec::<ConfigStep>::deserialize(steps).ok());
        let mut next = 0;
        let step = |step: ConfigStep| {
            let layer = (!step.empty_layer && next < layers).then_some(next);
            next += usize::from(!step.empty_layer);
            HistoryStep { created: step.created, created_by: step.created_by, comment: step.comment, layer }
        };
        let history = steps.unwrap_or_default().into_iter().map(step).collect();
        Some(Self { config, history })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_joined_to_the_layers_they_made() {
        let config = br#"{"os":"linux","history":[
            {"created_by":"ADD rootfs"},{"created_by":"ENV A=1","empty_layer":true},{"created_by":"RUN make","comment":"x"},
            {"created_by":"RUN more"}]}"#;
        let view = ImageView::parse(config, 2).unwrap();
        let layers: Vec<_> = view.history.iter().map(|step| step.layer).collect();
        assert_eq!(layers, [Some(0), None, Some(1), None], "there are only two");
        assert_eq!(view.history[2].comment.as_deref(), Some("x"));
        for odd in ["{\"history\":7}", "{}", "{\"history\":[7]}"] {
            assert!(ImageView::parse(odd.as_bytes(), 1).unwrap().history.is_empty(), "{odd}");
        }
        assert!(ImageView::parse(b"[]", 1).is_none() && ImageView::parse(b"{", 1).is_none());
    }
}
