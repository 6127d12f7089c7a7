//! The repeatable tables of `settings.toml` (`[[retention]]`): one row per key. The parser and the reference are
//! generated from them.

use std::sync::Arc;
use std::time::Duration;

use super::live::Live;
use super::mirror::{MirrorRule, SyncSchedule};
use super::values::{self, Value};
use crate::outbound::{CredentialName, InvalidCredentialName};
use crate::registry::settings::{ImmutableTags, Quota, RetentionRule};
use client::RegistryAddress;
use ipnet::IpNet;
use oci::{Expression, Pattern, Patterns, RepositoryName};

const MOST_TAGS: u64 = 1_000_000;
const MOST_DAYS: u64 = 36_500;

/// A repeatable table.
#[derive(Debug)]
pub struct ListTable {
    /// The name of the table.
    pub section: &'static str,
    /// What one of these tables configures.
    pub help: &'static str,
    /// The keys of one table.
    pub keys: &'static [ListKey],
    /// Adds one that was read without a problem.
    pub(super) add: fn(&mut Live, Draft),
}

/// A key of a repeatable table.
#[derive(Debug)]
pub struct ListKey {
    /// Its name in the table.
    pub key: &'static str,
    /// A value, as written in the file.
    pub example: &'static str,
    /// Whether it must be present.
    pub required: bool,
    /// What it does.
    pub help: &'static str,
    pub(super) set: SetItem,
}

/// How a value is stored in the draft of its table.
#[derive(Debug)]
pub(super) enum SetItem {
    /// At least one repository pattern.
    Patterns(fn(&mut Draft, Patterns)),
    /// An expression over tags.
    Expression(fn(&mut Draft, Expression)),
    /// A number from the first to the second.
    Number(u64, u64, fn(&mut Draft, u64)),
    /// Bytes, as a number or as text such as `"4 MiB"`.
    Bytes(fn(&mut Draft, u64)),
    /// A text; what it is, for people.
    Text(&'static str, fn(&mut Draft, &str) -> Value<()>),
    /// `true` or `false`.
    Switch(fn(&mut Draft, bool)),
    /// Addresses and networks.
    Networks(fn(&mut Draft, Vec<IpNet>)),
}

/// A table while it is read; has the fields of every kind of table.
#[derive(Debug, Default)]
pub(super) struct Draft {
    repositories: Patterns,
    tags: Option<Expression>,
    keep_last: Option<u64>,
    keep_younger: Option<u64>,
    keep_pulled: Option<u64>,
    keep_matching: Option<Expression>,
    delete_untagged: Option<u64>,
    max_bytes: Option<u64>,
    max_tags: Option<u64>,
    max_repositories: Option<u64>,
    upstream: Option<RegistryAddress>,
    prefix: Option<RepositoryName>,
    tag_ttl: Option<u64>,
    serve_stale: Option<bool>,
    allow_private: Vec<IpNet>,
    credentials: Option<CredentialName>,
    evict_after: Option<u64>,
    sync_tags: Option<Expression>,
    sync_hours: Option<u64>,
}

impl ListKey {
    /// The accepted values, for people.
    pub fn range(&self) -> String {
        match self.set {
            SetItem::Patterns(_) => "repository patterns".to_owned(),
            SetItem::Expression(_) => "a regular expression".to_owned(),
            SetItem::Number(min, max, _) => format!("{min} to {max}"),
            SetItem::Bytes(_) => "bytes, as a number or as text".to_owned(),
            SetItem::Text(what, _) => what.to_owned(),
            SetItem::Switch(_) => "true or false".to_owned(),
            SetItem::Networks(_) => "IP addresses and networks".to_owned(),
        }
    }

    /// The accepted values with an example, for a problem.
    pub(super) fn wanted(&self) -> String {
        let number = if matches!(self.set, SetItem::Number(..)) { "a number from " } else { "" };
        format!("{number}{}, such as {}", self.range(), self.example)
    }

    pub(super) fn set_text(&self, draft: &mut Draft, text: &str) -> Value<()> {
        match self.set {
            SetItem::Expression(set) => {
                let expression = text.parse().map_err(|e: oci::InvalidExpression| e.to_string())?;
                set(draft, expression);
                Ok(())
            }
            SetItem::Text(_, set) => set(draft, text),
            SetItem::Patterns(_) | SetItem::Networks(_) => Err(format!("must be an array of {}", self.wanted())),
            SetItem::Switch(_) => Err("must be true or false, without quotation marks".to_owned()),
            SetItem::Bytes(set) => values::size(text).map(|bytes| set(draft, bytes)),
            SetItem::Number(..) => Err(format!("must be a number without quotation marks: {}", self.range())),
        }
    }

    pub(super) fn set_number(&self, draft: &mut Draft, number: u64) -> Value<()> {
        match self.set {
            SetItem::Number(min, max, set) if (min..=max).contains(&number) => {
                set(draft, number);
                Ok(())
            }
            SetItem::Bytes(set) => {
                set(draft, number);
                Ok(())
            }
            SetItem::Number(..) => Err(format!("{number} is not in the range {}", self.range())),
            _ => Err(format!("must be {}", self.wanted())),
        }
    }

    pub(super) fn set_switch(&self, draft: &mut Draft, on: bool) -> Value<()> {
        let SetItem::Switch(set) = self.set else { return Err(format!("must be {}", self.wanted())) };
        set(draft, on);
        Ok(())
    }

    pub(super) fn set_array(&self, draft: &mut Draft, texts: &[&str]) -> Value<()> {
        if let SetItem::Networks(set) = self.set {
            set(draft, values::networks(&texts.join(","))?);
            return Ok(());
        }
        let SetItem::Patterns(set) = self.set else { return Err(format!("must be {}", self.wanted())) };
        if texts.is_empty() {
            return Err("must name at least one pattern; \"**\" matches every repository".to_owned());
        }
        let pattern = |text: &&str| match text.parse::<Pattern>() {
            Ok(_) if text.contains('$') => Err(format!("{text:?}: ${{user}} is only available in access rules")),
            Ok(pattern) => Ok(pattern),
            Err(why) => Err(format!("{text:?}: {why}")),
        };
        set(draft, texts.iter().map(pattern).collect::<Result<_, _>>()?);
        Ok(())
    }
}

const REPOSITORIES: ListKey = ListKey {
    key: "repositories",
    example: "[\"team/**\"]",
    required: true,
    help: "Repository patterns, as in access rules (`${user}` is not available here).",
    set: SetItem::Patterns(|draft, patterns| draft.repositories = patterns),
};

/// Every repeatable table, in the order of the reference.
pub static LISTS: &[ListTable] = &[
    ListTable {
        section: "retention",
        help: "Which tags and untagged manifests are deleted automatically. For each repository, only the first rule \
               whose patterns match it applies; `wharfinger plan` shows the effect.",
        keys: &[
            REPOSITORIES,
            ListKey {
                key: "tags",
                example: "\"dev-.*\"",
                required: false,
                help: "The tags that the rule may delete; all if not set. Other tags are kept.",
                set: SetItem::Expression(|draft, tags| draft.tags = Some(tags)),
            },
            ListKey {
                key: "keep_last",
                example: "10",
                required: false,
                help: "Keep this many tags, those pushed last.",
                set: SetItem::Number(1, MOST_TAGS, |draft, n| draft.keep_last = Some(n)),
            },
            ListKey {
                key: "keep_younger_than_days",
                example: "30",
                required: false,
                help: "Keep tags pushed within this many days.",
                set: SetItem::Number(1, MOST_DAYS, |draft, n| draft.keep_younger = Some(n)),
            },
            ListKey {
                key: "keep_pulled_within_days",
                example: "90",
                required: false,
                help: "Keep tags pulled or pushed within this many days, and untagged manifests pulled within them.",
                set: SetItem::Number(1, MOST_DAYS, |draft, n| draft.keep_pulled = Some(n)),
            },
            ListKey {
                key: "keep_matching",
                example: "\"v[0-9.]+|latest\"",
                required: false,
                help: "Keep tags that match.",
                set: SetItem::Expression(|draft, tags| draft.keep_matching = Some(tags)),
            },
            ListKey {
                key: "delete_untagged_after_days",
                example: "7",
                required: false,
                help: "Delete untagged manifests this many days after they were pushed or lost their last tag; never if \
                       not set.",
                set: SetItem::Number(0, MOST_DAYS, |draft, n| draft.delete_untagged = Some(n)),
            },
        ],
        add: |live, draft| {
            let days = |n: u64| Duration::from_secs(n * 86_400);
            Arc::make_mut(&mut live.registry).retention.push(RetentionRule {
                repositories: draft.repositories,
                tags: draft.tags,
                keep_last: draft.keep_last.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
                keep_younger: draft.keep_younger.map(days),
                keep_pulled: draft.keep_pulled.map(days),
                keep_matching: draft.keep_matching,
                delete_untagged: draft.delete_untagged.map(days),
            });
        },
    },
    ListTable {
        section: "quota",
        help: "How much all repositories that match hold together. Every quota that matches a repository applies. A push \
               that would exceed one is refused with 413 (bytes) or 403, before its bytes are taken if their number is \
               known. `GET /api/v1/quotas` shows what is used; deletions count after a minute.",
        keys: &[
            REPOSITORIES,
            ListKey {
                key: "max_bytes",
                example: "\"100 GiB\"",
                required: false,
                help: "The most bytes of manifests and blobs. What several of the repositories share counts in each.",
                set: SetItem::Bytes(|draft, n| draft.max_bytes = Some(n)),
            },
            ListKey {
                key: "max_tags",
                example: "1000",
                required: false,
                help: "The most tags.",
                set: SetItem::Number(0, 1_000_000_000, |draft, n| draft.max_tags = Some(n)),
            },
            ListKey {
                key: "max_repositories",
                example: "50",
                required: false,
                help: "The most repositories.",
                set: SetItem::Number(0, 1_000_000_000, |draft, n| draft.max_repositories = Some(n)),
            },
        ],
        add: |live, draft| {
            Arc::make_mut(&mut live.registry).quotas.push(Quota {
                repositories: draft.repositories,
                bytes: draft.max_bytes,
                tags: draft.max_tags,
                number: draft.max_repositories,
            });
        },
    },
    ListTable {
        section: "immutable",
        help: "Tags that cannot be moved to another manifest, and that neither clients nor retention rules can delete. What their images consist of cannot be deleted either.",
        keys: &[
            REPOSITORIES,
            ListKey {
                key: "tags",
                example: "\"v[0-9.]+\"",
                required: true,
                help: "The immutable tags. Tags that signing tools rewrite (`sha256-…`) never are.",
                set: SetItem::Expression(|draft, tags| draft.tags = Some(tags)),
            },
        ],
        add: |live, draft| {
            // Required: if it is missing there is a problem, and the table is not added.
            if let Some(tags) = draft.tags {
                let tags = ImmutableTags { repositories: draft.repositories, tags };
                Arc::make_mut(&mut live.registry).immutable.push(tags);
            }
        },
    },
    ListTable {
        section: "mirror",
        help: "Which repositories mirror another registry: what they do not have is fetched from there when somebody \
               pulls it. The first rule that matches a repository applies. See docs/mirror.md.",
        keys: &[
            REPOSITORIES,
            ListKey {
                key: "upstream",
                example: "\"docker.io\"",
                required: true,
                help: "The other registry: a host, host:port, or a URL without a path. Plain HTTP only with `http://`.",
                set: SetItem::Text("a registry", |draft, text| {
                    draft.upstream = Some(text.parse().map_err(|e: client::InvalidRegistry| e.to_string())?);
                    Ok(())
                }),
            },
            ListKey {
                key: "prefix",
                example: "\"docker.io\"",
                required: false,
                help: "The first part of the names of these repositories, which the upstream's names do not have: with \
                       `docker.io`, the repository `docker.io/library/alpine` is `library/alpine` there.",
                set: SetItem::Text("the beginning of repository names", |draft, text| {
                    draft.prefix = Some(text.parse().map_err(|e: oci::InvalidName| e.to_string())?);
                    Ok(())
                }),
            },
            ListKey {
                key: "credentials",
                example: "\"hub\"",
                required: false,
                help: "Log in there with the file of this name in `REGISTRY_CREDENTIALS`; without a login if not set. \
                       Everybody who may pull here then pulls what that user may.",
                set: SetItem::Text("the name of credentials", |draft, text| {
                    draft.credentials = Some(text.parse().map_err(|e: InvalidCredentialName| e.to_string())?);
                    Ok(())
                }),
            },
            ListKey {
                key: "tag_ttl_seconds",
                example: "600",
                required: false,
                help: "How long a tag is served before the upstream is asked whether it has moved; 600 if not set.",
                set: SetItem::Number(0, 31_536_000, |draft, n| draft.tag_ttl = Some(n)),
            },
            ListKey {
                key: "serve_stale",
                example: "true",
                required: false,
                help: "Serve a tag as it was while the upstream does not answer; true if not set.",
                set: SetItem::Switch(|draft, on| draft.serve_stale = Some(on)),
            },
            ListKey {
                key: "allow_private",
                example: "[\"10.0.0.0/8\"]",
                required: false,
                help: "Networks in which the upstream, its token service and where it redirects to may be, besides \
                       public addresses.",
                set: SetItem::Networks(|draft, networks| draft.allow_private = networks),
            },
            ListKey {
                key: "evict_after_days",
                example: "30",
                required: false,
                help: "Remove what the mirror stored when nobody pulled it for this many days; never if not set. What \
                       somebody pushed stays.",
                set: SetItem::Number(1, MOST_DAYS, |draft, n| draft.evict_after = Some(n)),
            },
            ListKey {
                key: "max_bytes",
                example: "\"200 GiB\"",
                required: false,
                help: "When these repositories hold more, remove what the mirror stored and nobody pulled for the \
                       longest time; no limit if not set.",
                set: SetItem::Bytes(|draft, n| draft.max_bytes = Some(n)),
            },
            ListKey {
                key: "sync_tags",
                example: "\"latest|3\\\\.[0-9]+\"",
                required: false,
                help: "Fetch these tags of the repositories that are here on a schedule, before anybody pulls them; \
                       none if not set.",
                set: SetItem::Expression(|draft, tags| draft.sync_tags = Some(tags)),
            },
            ListKey {
                key: "sync_hours",
                example: "24",
                required: false,
                help: "How often `sync_tags` are fetched; every 24 hours if not set.",
                set: SetItem::Number(1, 8760, |draft, n| draft.sync_hours = Some(n)),
            },
        ],
        add: |live, draft| {
            // Required: if it is missing there is a problem, and the table is not added.
            if let Some(upstream) = draft.upstream {
                let login = draft.credentials.map(|name| (live.credentials.clone(), name));
                let mut rule = MirrorRule::new(upstream, draft.allow_private.into(), login);
                rule.repositories = draft.repositories;
                rule.prefix = draft.prefix;
                rule.tag_ttl = draft.tag_ttl.map_or(rule.tag_ttl, Duration::from_secs);
                rule.serves_stale = draft.serve_stale.unwrap_or(rule.serves_stale);
                rule.unused = draft.evict_after.map(|days| Duration::from_secs(days * 86_400));
                rule.max_bytes = draft.max_bytes;
                let every = Duration::from_secs(draft.sync_hours.unwrap_or(24) * 3600);
                rule.sync = draft.sync_tags.map(|tags| SyncSchedule { tags, every });
                live.mirrors.push(Arc::new(rule));
            }
        },
    },
];
