//! Lists of tags of mirrored repositories, and what is counted.

use super::{Fake, Upstream, has_image, mirror};
use std::time::Duration;

const LIST: &str = "/v2/hub/app/tags/list";

fn has_tags(upstream: &Upstream, tags: &str) {
    upstream.answer("/v2/app/tags/list?n=1000", Fake::ok(format!("{{\"name\":\"app\",\"tags\":{tags}}}").into_bytes()));
}

#[tokio::test]
async fn a_list_has_the_tags_of_the_upstream_and_those_that_were_pushed_here() {
    let upstream = Upstream::start().await;
    has_image(&upstream, "app", "v1", vec![1; 100]);
    // In an order of its own, and one of them twice.
    has_tags(&upstream, r#"["v2","v1","latest","v1"]"#);
    let mirror = mirror(upstream.address(), "tag_ttl_seconds = 3600");
    assert_eq!(mirror.tags("hub/app").await, ["latest", "v1", "v2"]);
    mirror.get("/v2/hub/app/manifests/v1").await.is(200);
    mirror.push_image("hub/app", "ours", "x").await;
    assert_eq!(mirror.tags("hub/app").await, ["latest", "ours", "v1", "v2"]);
    // Page by page.
    let (mut next, mut pages) = (format!("{LIST}?n=3"), Vec::new());
    loop {
        let page = mirror.get(&next).await.is(200);
        pages.push(page.json()["tags"].clone());
        if !page.has("link") {
            break;
        }
        next = page.header("link").trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
    assert_eq!(serde_json::json!(pages), serde_json::json!([["latest", "ours", "v1"], ["v2"]]));
    assert_eq!(mirror.get(format!("{LIST}?n=0")).await.is(200).json()["tags"], serde_json::json!([]));
    assert_eq!(upstream.asked("GET /v2/app/tags/list?n=1000"), 1, "within an hour it is asked once");
}

#[tokio::test]
async fn a_list_is_as_it_was_while_the_upstream_is_down() {
    let upstream = Upstream::start().await;
    has_image(&upstream, "app", "v1", vec![1; 100]);
    has_tags(&upstream, r#"["v1","v2"]"#);
    let stale = mirror(upstream.address(), "tag_ttl_seconds = 0");
    let strict = mirror(upstream.address(), "tag_ttl_seconds = 0\nserve_stale = false");
    for mirror in [&stale, &strict] {
        assert_eq!(mirror.tags("hub/app").await, ["v1", "v2"]);
        mirror.get("/v2/hub/app/manifests/v1").await.is(200);
    }
    let late = super::mirror(upstream.address(), "tag_ttl_seconds = 0");
    late.get("/v2/hub/app/manifests/v1").await.is(200);
    upstream.always(Some(Fake::status(503)));
    assert_eq!(stale.tags("hub/app").await, ["v1", "v2"]);
    strict.get(LIST).await.refused(503, "UNAVAILABLE");
    // One that has never seen the list shows what is here, and has no answer where nothing is.
    assert_eq!(late.tags("hub/app").await, ["v1"]);
    late.get("/v2/hub/other/tags/list").await.refused(503, "UNAVAILABLE");
    // When it is back, it is asked again.
    upstream.always(None);
    has_tags(&upstream, r#"["v1","v3"]"#);
    let is_new = async || stale.tags("hub/app").await == ["v1", "v3"];
    stale.daemon.until(Duration::from_secs(30), "the list stays old", is_new).await;
}

#[tokio::test]
async fn what_a_mirror_does_is_counted_by_rule() {
    let upstream = Upstream::start().await;
    let (digest, layer) = has_image(&upstream, "app", "v1", vec![1; 100]);
    let mirror = mirror(upstream.address(), "tag_ttl_seconds = 0");
    mirror.get("/v2/hub/app/manifests/v1").await.is(200);
    mirror.get(format!("/v2/hub/app/manifests/{digest}")).await.is(200);
    mirror.get(format!("/v2/hub/app/blobs/{layer}")).await.is(200);
    mirror.get("/v2/hub/app/manifests/v9").await.refused(404, "MANIFEST_UNKNOWN");
    upstream.always(Some(Fake::status(500)));
    mirror.get("/v2/hub/app/manifests/v1").await.is(200);
    mirror.get("/v2/hub/other/manifests/v1").await.refused(503, "UNAVAILABLE");
    let metrics = String::from_utf8(mirror.get("/metrics").await.is(200).body.to_vec()).unwrap();
    let upstream = upstream.address();
    let of = |name: &str, label: &str| {
        let line = format!("wharfinger_mirror_{name}{{upstream=\"{upstream}\",prefix=\"hub\"{label}}} ");
        let value = metrics.lines().find_map(|found| found.strip_prefix(&line));
        value.unwrap_or_else(|| panic!("no {line} in\n{metrics}")).parse::<u64>().unwrap()
    };
    for (result, count) in [("hit", 1), ("fetched", 2), ("stale", 1), ("absent", 1), ("error", 1)] {
        assert_eq!(of("requests_total", &format!(",result=\"{result}\"")), count, "{result}");
    }
    assert_eq!(of("fetches_total", ",kind=\"manifest\""), 1);
    assert_eq!(of("fetches_total", ",kind=\"blob\""), 1);
    assert!(of("fetched_bytes_total", "") > 100);
    assert_eq!(of("upstream_errors_total", ""), 1);
}
