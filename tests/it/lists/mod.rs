//! Lists of a registry: referrers, tags, repositories, and their pages.

mod catalog;
mod referrers;
mod tags;

use testing::session::*;

/// All entries of a list, page by page, and the number of pages.
async fn all_pages(client: &Client, first: &str, key: &str) -> (Vec<String>, usize) {
    let (mut entries, mut pages, mut target) = (Vec::new(), 0, first.to_owned());
    loop {
        let page = client.read(&target).await;
        entries.extend(page.strings(key));
        pages += 1;
        match page.next() {
            Some(next) => target = next.to_owned(),
            None => return (entries, pages),
        }
    }
}
