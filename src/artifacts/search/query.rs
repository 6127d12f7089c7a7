//! The query of a search, and that of a download.

use super::{ArtifactFilters, ArtifactOrder, ArtifactSort, InvalidQuery};

/// What a search asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArtifactQuery {
    pub filters: ArtifactFilters,
    /// `None` where the settings decide.
    pub sort: Option<ArtifactSort>,
    /// `None` where the settings decide.
    pub descending: Option<bool>,
    /// The most results that are wanted.
    pub limit: Option<usize>,
    /// Results that are left out before the first.
    pub offset: usize,
}

/// What a download asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DownloadQuery {
    pub query: ArtifactQuery,
    /// Whether a single file is packed, too.
    pub archive: bool,
    pub format: ArchiveFormat,
    /// Whether the entries have only the last part of their path.
    pub flat: bool,
}

/// The format of an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArchiveFormat {
    #[default]
    Zip,
    TarGz,
}

/// The most results that are left out before the first: all before them have to be sorted.
pub const MOST_OFFSET: usize = 100_000;

/// Parameters of downloads alone. The key of a property that is one of these has `property.` before it.
const OF_DOWNLOADS: &[&str] = &["archive", "format", "flat"];

/// Parameters that say which of the results are wanted.
const OF_RESULTS: &[&str] = &["sort", "order", "num", "limit", "offset"];

/// Whether a parameter is no filter.
pub(super) fn is_reserved(key: &str) -> bool {
    OF_DOWNLOADS.contains(&key) || OF_RESULTS.contains(&key)
}

impl ArtifactQuery {
    /// Reads the query of a search.
    ///
    /// # Errors
    /// [`InvalidQuery`], which names the parameter.
    pub fn parse(query: &str) -> Result<Self, InvalidQuery> {
        let mut parsed = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            if OF_DOWNLOADS.contains(&&*key) {
                let problem = format!("is for downloads only; for a property with this key, write property.{key}");
                return Err(InvalidQuery::new(&key, problem));
            }
            parsed.add(&key, &value)?;
        }
        Ok(parsed)
    }

    fn add(&mut self, key: &str, value: &str) -> Result<(), InvalidQuery> {
        match key {
            // An empty value counts as absent: scripts send one for an unset variable. A filter without a value is
            // refused instead, because more would be found than was meant.
            _ if OF_RESULTS.contains(&key) && value.is_empty() => {}
            "sort" => {
                let sort = ArtifactSort::of(value).ok_or_else(|| {
                    let words = ArtifactSort::ALL.map(ArtifactSort::as_str).join(", ");
                    InvalidQuery::new(key, format!("must be one of {words}, not {}", quoted(value)))
                })?;
                once(key, &mut self.sort, sort)?;
            }
            "order" => {
                let descending = match value {
                    _ if value.eq_ignore_ascii_case("desc") => true,
                    _ if value.eq_ignore_ascii_case("asc") => false,
                    _ => return Err(InvalidQuery::new(key, format!("must be asc or desc, not {}", quoted(value)))),
                };
                once(key, &mut self.descending, descending)?;
            }
            "num" | "limit" => match number(key, value)? {
                0 => return Err(InvalidQuery::new(key, "must be at least 1")),
                limit => once(key, &mut self.limit, limit)?,
            },
            "offset" => match number(key, value)? {
                offset if offset <= MOST_OFFSET => self.offset = offset,
                _ => return Err(InvalidQuery::new(key, format!("must be at most {MOST_OFFSET}: add filters instead"))),
            },
            _ => self.filters.add(key, value)?,
        }
        Ok(())
    }

    /// The order that it asks for, with these defaults.
    pub fn order(&self, default: ArtifactOrder) -> ArtifactOrder {
        ArtifactOrder {
            sort: self.sort.unwrap_or(default.sort),
            descending: self.descending.unwrap_or(default.descending),
        }
    }
}

impl DownloadQuery {
    /// Reads the query of a download.
    ///
    /// # Errors
    /// [`InvalidQuery`], which names the parameter.
    pub fn parse(query: &str) -> Result<Self, InvalidQuery> {
        let mut parsed = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "archive" => parsed.archive = switch(&key, &value)?,
                "flat" => parsed.flat = switch(&key, &value)?,
                "format" if value.is_empty() => {}
                "format" => {
                    parsed.format = ArchiveFormat::of(&value).ok_or_else(|| {
                        InvalidQuery::new(&key, format!("must be zip or tar.gz, not {}", quoted(&value)))
                    })?;
                }
                _ => parsed.query.add(&key, &value)?,
            }
        }
        Ok(parsed)
    }
}

impl ArchiveFormat {
    /// The word for it, and what ends the name of a file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::TarGz => "tar.gz",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Zip, Self::TarGz].into_iter().find(|format| format.as_str().eq_ignore_ascii_case(word))
    }
}

/// A parameter that may be repeated only with the same value: readers would disagree about which one counts.
fn once<T: PartialEq>(key: &str, place: &mut Option<T>, value: T) -> Result<(), InvalidQuery> {
    match place {
        Some(found) if *found != value => Err(InvalidQuery::new(key, "is given twice, with different values")),
        _ => {
            *place = Some(value);
            Ok(())
        }
    }
}

fn number(key: &str, value: &str) -> Result<usize, InvalidQuery> {
    match value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number too large to parse is above every limit anyway.
        true => Ok(value.parse().unwrap_or(usize::MAX)),
        false => Err(InvalidQuery::new(key, format!("must be a number, not {}", quoted(value)))),
    }
}

/// A switch that is on if it is there: `archive`, `archive=1`.
fn switch(key: &str, value: &str) -> Result<bool, InvalidQuery> {
    match value {
        "" | "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(InvalidQuery::new(key, format!("must be 1 or 0, not {}", quoted(value)))),
    }
}

fn quoted(text: &str) -> String {
    format!("{:?}", oci::excerpt(text))
}
