//! Paths below a root, as text with slashes.

/// The directory a path lies in.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(parent, _)| parent)
}
