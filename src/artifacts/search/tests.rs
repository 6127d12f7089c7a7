use super::*;

fn parsed(query: &str) -> ArtifactQuery {
    ArtifactQuery::parse(query).unwrap()
}

fn refused(query: &str) -> String {
    ArtifactQuery::parse(query).unwrap_err().to_string()
}

fn texts(values: &[Wildcard]) -> Vec<&str> {
    values.iter().map(Wildcard::as_str).collect()
}

#[test]
fn every_filter_is_read_and_any_other_key_is_a_property() {
    let query =
        parsed("repo=a&name=b*&version=1.0&version=latest&path=x%2Fy&path=z&q=t&branch=main&property.sort=up&a.b=%3D");
    let filters = &query.filters;
    assert_eq!(texts(&filters.repositories), ["a"]);
    assert_eq!(texts(&filters.names), ["b*"]);
    assert_eq!((texts(&filters.versions), filters.latest), (vec!["1.0"], true));
    assert_eq!(texts(&filters.paths), ["x/y", "z"]);
    assert_eq!(texts(&filters.contained), ["t"]);
    let properties: Vec<_> =
        filters.properties.iter().map(|(key, values)| (key.as_str(), values[0].as_str())).collect();
    assert_eq!(properties, [("a.b", "="), ("branch", "main"), ("sort", "up")]);
    assert!(!filters.is_empty() && parsed("sort=name").filters.is_empty());
}

#[test]
fn a_filter_that_cannot_be_a_property_is_refused() {
    for query in ["=x", "property.=x", "a%20b=c", ".a=b", "branch=a%00b", "branch=e%CC%81"] {
        assert!(ArtifactQuery::parse(query).is_err(), "{query}");
    }
    // A property may be empty: a script with an unset variable finds nothing else.
    assert_eq!(parsed("build=").filters.properties["build"][0].as_str(), "");
}

#[test]
fn a_percent_sign_is_a_wildcard_whether_it_is_escaped_or_not() {
    assert_eq!(texts(&parsed("name=a%25").filters.names), ["a%"]);
    assert_eq!(texts(&parsed("name=%zip").filters.names), ["%zip"]);
}

#[test]
fn the_order_and_the_part_that_is_wanted_are_read() {
    let query = parsed("sort=Version&order=ASC&limit=5&offset=10");
    let newest = ArtifactOrder::default();
    assert_eq!(query.order(newest), ArtifactOrder { sort: ArtifactSort::Version, descending: false });
    assert_eq!((query.limit, query.offset), (Some(5), 10));
    let query = parsed("sort=&order=&num=&offset=");
    assert_eq!((query.order(newest), query.limit, query.offset), (newest, None, 0));
    assert_eq!(parsed("offset=100000").offset, MOST_OFFSET);
    assert_eq!(refused("offset=100001"), "offset: must be at most 100000: add filters instead");
    assert_eq!(parsed("num=7&limit=7").limit, Some(7));
    assert_eq!(parsed("num=99999999999999999999999").limit, Some(usize::MAX));
}

#[test]
fn a_parameter_that_cannot_be_used_is_named_with_what_is_allowed() {
    for (query, problem) in [
        ("sort=color", "sort: must be one of name, version, path, size, created_at, updated_at, not \"color\""),
        ("sort=name&sort=size", "sort: is given twice, with different values"),
        ("order=up", "order: must be asc or desc, not \"up\""),
        ("num=0", "num: must be at least 1"),
        ("num=3&limit=4", "limit: is given twice, with different values"),
        ("num=-1", "num: must be a number, not \"-1\""),
        ("offset=x", "offset: must be a number, not \"x\""),
        ("version=", "version: has no value: remove it, or say what to look for"),
        ("format=deb", "format: is for downloads only; for a property with this key, write property.format"),
    ] {
        assert_eq!(refused(query), problem);
    }
}

#[test]
fn filters_have_a_number_and_a_length() {
    let many = |n: usize| vec!["q=x"; n].join("&");
    assert!(ArtifactQuery::parse(&many(MOST_FILTERS)).is_ok());
    assert_eq!(refused(&many(MOST_FILTERS + 1)), "q: is one filter too many: at most 64 are allowed");
    let long = |n: usize| format!("q={}", "x".repeat(n));
    assert!(ArtifactQuery::parse(&long(LONGEST_FILTER)).is_ok());
    assert_eq!(refused(&long(LONGEST_FILTER + 1)), "q: is longer than 1024 bytes");
    let named = |n: usize| format!("property.{}=x", "k".repeat(n));
    assert!(ArtifactQuery::parse(&named(128)).is_ok());
    assert!(refused(&named(129)).contains("the key of a property must be 1 to 128 letters"));
    assert!(ArtifactQuery::parse(&named(100_000)).unwrap_err().key.len() < 200);
}

#[test]
fn a_download_says_how_it_is_packed() {
    let query = DownloadQuery::parse("version=latest&archive&format=tar.gz&flat=1&num=3").unwrap();
    assert!(query.archive && query.flat && query.query.filters.latest);
    assert_eq!((query.format, query.query.limit), (ArchiveFormat::TarGz, Some(3)));
    let query = DownloadQuery::parse("archive=0&flat=false&format=").unwrap();
    assert_eq!(query, DownloadQuery::default());
    let refused = |query| DownloadQuery::parse(query).unwrap_err().to_string();
    assert_eq!(refused("format=rar"), "format: must be zip or tar.gz, not \"rar\"");
    assert_eq!(refused("flat=maybe"), "flat: must be 1 or 0, not \"maybe\"");
}

#[test]
fn filters_alone_have_no_order() {
    let filters = ArtifactFilters::parse("branch=release%2F*&version=1.*").unwrap();
    assert_eq!(filters.properties["branch"][0].as_str(), "release/*");
    assert_eq!(ArtifactFilters::parse("sort=name").unwrap_err().to_string(), "sort: is not a filter");
}
