# Short names for the commands of this project; without `just`, type what stands below each.

# What there is
default:
    @just --list

# Format, lints and documentation, as CI judges them
check:
    .ci/run check

# The tests
test:
    cargo test --workspace

# All that CI runs
ci:
    .ci/run

# Serve on port 15000 from ./data; flags go through: just run --port 5000
run *FLAGS:
    cargo run --release -- {{FLAGS}}

# The load program, see docs/performance.md: just bench list, just bench compare --workload pull-256m
bench *ARGS:
    cargo build --release --bin wharfinger
    cargo run --release -p registry-bench -- {{ARGS}}

# Fuzzing, each target for so many seconds: just fuzz 60, just fuzz path, just fuzz path 600
fuzz *ARGS:
    fuzz/run {{ARGS}}

# Real clients against the release binary; installs nothing, says what is missing
clients *ARGS:
    tests/clients/run {{ARGS}}

# Logins, refusals and changing rights with real clients; builds the token service
clients-auth *ARGS:
    cargo build --release --example token-service
    tests/clients/auth {{ARGS}}

# Random requests to the management API, by its OpenAPI document; needs schemathesis
clients-openapi *ARGS:
    tests/clients/openapi {{ARGS}}

# Login, push and pull through a real nginx with the configuration of docs/operations.md
clients-proxy *ARGS:
    tests/clients/proxy {{ARGS}}

# The web pages in Chromium; just browser keyboard for one of its walks
browser *ARGS:
    tests/browser/run {{ARGS}}

# Pictures of the web pages, in docs/screens
screens *ARGS:
    tests/browser/run --screens {{ARGS}}

# A long chaos campaign, at most so many minutes: just chaos 1000 40 children
chaos KILLS="1000" MINUTES="40" MISSING="children":
    CHAOS_KILLS={{KILLS}} CHAOS_MINUTES={{MINUTES}} CHAOS_MISSING={{MISSING}} cargo test --release --test chaos -- --nocapture campaign

# A migration whose daemon is killed so often at random, which fetches no finished blob again: just migration-kills 200
migration-kills KILLS="200":
    MIGRATION_KILLS={{KILLS}} cargo test --test it -- --ignored --nocapture a_campaign_of_kills

# The documentation of the code
doc *ARGS:
    cargo doc --no-deps --document-private-items {{ARGS}}
