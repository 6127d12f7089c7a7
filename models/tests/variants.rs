//! Checks that sound variants hold, and that every mutant fails. Each test also checks its row of README.md.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a helper fails the test it is called by")]

use models::variants::{self, ExpectedResult};

/// Fewer states than this mean that almost nothing was explored.
const FEWEST_STATES: usize = 2000;

/// Explores a variant, and compares the result with the expected one and with README.md.
fn check(name: &str) {
    let all = variants::all();
    let variant = all.iter().find(|variant| variant.name == name).expect(name);
    let explored = variant.explore();
    let row = variant.row(&explored);
    println!("{row}");
    if let Some((property, steps)) = &explored.counterexample {
        println!("not true: {property}; {} steps:", steps.len());
        steps.iter().for_each(|step| println!("    {step}"));
    }
    match (variant.expect, &explored.counterexample) {
        (ExpectedResult::Holds, None) => {
            assert!(
                explored.never.is_empty(),
                "the exploration proves nothing, as this never happened: {:?}",
                explored.never
            );
        }
        (ExpectedResult::Fails(expected), Some((property, _))) => assert_eq!(*property, expected),
        (expected, _) => panic!("expected: {expected:?}"),
    }
    assert!(explored.states >= FEWEST_STATES, "only {} states", explored.states);
    let readme = include_str!("../README.md");
    assert!(readme.lines().any(|line| line == row), "README.md has another row; it should be\n{row}");
}

macro_rules! tests {
    ($($variant:literal $test:ident)*) => {
        $(#[test] fn $test() { check($variant) })*

        const TESTED: &[&str] = &[$($variant),*];
    };
}

tests! {
    "base" the_protocol_loses_nothing
    "three-runs" the_protocol_loses_nothing_in_three_runs
    "verify-then-publish" verifying_before_publishing_loses
    "manifests-before-intents" marking_manifests_before_intents_loses
    "graveyard-after-mark" listing_the_graveyard_after_the_mark_loses
    "no-graveyard" removing_without_a_graveyard_loses
    "grave-name-reused" using_a_name_in_the_graveyard_again_loses
    "copy-then-delete" copying_and_removing_loses
    "no-second-look" not_looking_at_the_intent_again_loses
    "no-expiry" intents_that_stay_need_no_second_look
    "expiry-at-once" intents_may_be_removed_at_once_where_nothing_is_cached
    "withdrawn" a_writer_may_remove_its_intent_where_nothing_is_cached
    "restore-by-rename" blobs_may_be_restored_by_rename
    "entry-purged" a_collection_may_purge_the_entry_of_what_it_brought_back
    "image" an_image_of_two_blobs_is_not_lost
    "images" images_that_share_a_blob_are_not_lost
    "images-without-expiry" images_are_not_lost_to_two_collections
    "images-verify-then-publish" verifying_before_publishing_loses_an_image
    "links" links_are_not_lost_and_not_leaked
    "links-without-expiry" links_are_not_lost_to_two_collections
    "links-verify-then-publish" verifying_before_publishing_loses_a_link
    "link-never-had" making_a_link_because_the_blob_is_there_leaks
    "index" an_index_keeps_what_its_child_refers_to
    "index-together" an_index_is_not_lost_to_two_collections
    "index-graves-first" one_collection_at_a_time_may_list_condemned_manifests_first
    "index-graves-first-renamed" one_collection_at_a_time_may_list_them_first_and_restore_by_rename
    "index-graves-not-counted" condemned_manifests_that_keep_nothing_lose
    "index-live-first-renamed" restoring_manifests_by_rename_loses_where_the_live_are_listed_first
    "index-graves-first-renamed-together" two_collections_that_list_condemned_manifests_first_and_restore_by_rename_lose
    "index-graves-first-together" two_collections_that_list_condemned_manifests_first_lose
    "index-no-look-after-tag" not_looking_at_the_intent_after_the_tag_loses
    "attached" a_signature_is_not_lost_when_its_image_is_deleted_again_and_again
    "attached-without-looking" removing_a_tag_without_looking_whether_it_was_put_again_loses
    "attached-never-roots" a_tag_that_is_no_root_while_its_manifest_lies_in_the_graveyard_points_nowhere
    "crash" what_was_acknowledged_survives_a_crash
    "tag-before-manifest-durable" a_tag_before_its_manifest_is_durable_points_nowhere
    "manifest-before-blobs-durable" a_manifest_before_its_blobs_are_durable_points_nowhere
    "bytes-not-synced" a_name_without_its_bytes_loses
    "found-not-synced" relying_on_a_name_that_nobody_synced_loses
    "restored-not-synced" not_syncing_what_was_restored_loses
    "manifest-not-synced" not_syncing_the_manifest_loses
    "tag-not-synced" not_syncing_the_tag_loses
    "purged-before-synced" purging_before_what_is_back_is_synced_loses
    "upload-not-synced" a_push_syncs_what_an_upload_did_not
    "move-not-synced" a_condemnation_need_not_be_durable
    "crash-renamed" what_is_restored_by_rename_survives_a_crash
    "caches" stale_caches_lose_nothing_in_two_steps
    "caches-expiry-at-once" stale_caches_lose_where_intents_are_removed_on_expiry
    "caches-withdrawn" stale_caches_lose_where_intents_are_removed_on_publish
    "caches-no-second-look" stale_caches_lose_without_a_second_look
    "caches-two-directories" stale_caches_lose_where_intents_change_their_directory
    "caches-wait-once" stale_caches_lose_where_entries_are_listed_after_one_settle
    "objects" generations_and_markers_lose_nothing
    "objects-generations-first" listing_generations_before_markers_loses
    "objects-marker-removed-first" removing_a_marker_before_its_generation_loses
}

#[test]
fn every_variant_has_a_test() {
    let names: Vec<&str> = variants::all().iter().map(|variant| variant.name).collect();
    assert_eq!(names, TESTED);
}

#[test]
#[ignore = "minutes and gigabytes"]
fn the_larger_bounds_hold_too() {
    for variant in variants::large() {
        let explored = variant.explore();
        println!("{}", variant.row(&explored));
        assert_eq!(explored.counterexample, None);
        assert!(
            explored.never.is_empty(),
            "the exploration proves nothing, as this never happened: {:?}",
            explored.never
        );
    }
}
