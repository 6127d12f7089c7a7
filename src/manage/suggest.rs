//! Suggestions for misspelt names.

/// The known name that is most like a misspelt one, if one is close.
pub(super) fn suggest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    let near = known.into_iter().map(|known| (strsim::osa_distance(known, name), known));
    near.filter(|(distance, _)| *distance <= 2).min().map(|(_, known)| known.to_owned())
}
