//! Pages of the catalog and of tag lists, in stores with many names.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{Setup, WorkloadRound};
use crate::Result;
use crate::content::{BenchBlob, Maker};
use crate::figures::Metric;
use crate::http::Sink;
use crate::loader::{Image, Loader};
use crate::placer::Placer;
use crate::target::{ADMIN, ONE, ONES};

const MANY: u64 = 100_000;
/// How many threads fill a store.
const FILLERS: usize = 8;
/// Number of organisations, with `MANY / ORGS` repositories each.
const ORGS: u64 = 1000;

/// Calls `place` for the numbers below `count`, in several threads at once.
fn fill(count: u64, place: impl Fn(u64) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicU64::new(0);
    let filler = || {
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        numbers.take_while(|k| *k < count).try_for_each(&place)
    };
    std::thread::scope(|scope| {
        let fillers: Vec<_> = (0..FILLERS).map(|_| scope.spawn(filler)).collect();
        fillers.into_iter().try_for_each(|filler| filler.join().map_err(|_| "a thread failed")?)
    })
}

fn tiny() -> Result<Image> {
    Ok(Image::with_config(BenchBlob::of(b"{}".to_vec()), vec![Maker::random(64)?.make()]))
}

/// The names of the repositories in a catalog.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// `org123/app045`
    Nested,
    /// `app012345`
    Flat,
}

impl Names {
    fn name(self, k: u64, count: u64) -> String {
        match self {
            Self::Flat => format!("app{k:06}"),
            Self::Nested => {
                let each = count.div_ceil(ORGS).max(1);
                format!("org{:03}/app{:03}", k / each, k % each)
            }
        }
    }
}

/// Pages of 100 anywhere in a catalog of 100,000 repositories, for an administrator or a user who may see one of them.
pub fn catalog(setup: Setup<'_>, names: Names, administrator: bool) -> Result<WorkloadRound<'_>> {
    let target = setup.target;
    let (image, count) = (tiny()?, setup.count(MANY));
    // With passwords only the administrator may push.
    let with_passwords = target.dial.credentials.is_some();
    let dial = if with_passwords { target.dial_as(ADMIN) } else { target.dial.clone() };
    let placer = Placer::new(&dial)?;
    fill(count, |k| {
        let name = if k == 0 { ONES.to_owned() } else { names.name(k, count) };
        placer.push_image(&name, "1", &image)
    })?;
    let reader = if administrator || !with_passwords { dial } else { target.dial_as(ONE) };
    Ok(Box::new(move || {
        let page = |client: &mut Loader| {
            let last = names.name(client.random.below(count), count);
            let path =
                if administrator { format!("/v2/_catalog?n=100&last={last}") } else { "/v2/_catalog?n=100".into() };
            client.get(&path, Sink::Discard).map(|_| ())
        };
        let mut first = Loader::new(&reader, 0);
        // Passwords are checked once, before the measurement.
        page(&mut first)?;
        setup.measure_both(&reader, &page)
    }))
}

/// Pages of 100 anywhere in a list of 100,000 tags; the first one after a start is reported separately.
pub fn tags(setup: Setup<'_>) -> Result<WorkloadRound<'_>> {
    let target = setup.target;
    let (image, count) = (tiny()?, setup.count(MANY));
    let placer = Placer::new(&target.dial)?;
    placer.push_image("bench/tags", "first", &image)?;
    fill(count, |k| placer.push_manifest("bench/tags", &format!("v{k:06}"), &image.manifest))?;
    Ok(Box::new(move || {
        let page = |client: &mut Loader| {
            let last = client.random.below(count);
            client.get(&format!("/v2/bench/tags/tags/list?n=100&last=v{last:06}"), Sink::Discard).map(|_| ())
        };
        let mut first = None;
        if target.server.is_some() {
            target.restart(|| Ok(()))?;
            let mut client = Loader::new(&target.dial, 0);
            client.conn.connect()?;
            let start = Instant::now();
            page(&mut client)?;
            first = Some(start.elapsed().as_secs_f64() * 1e3);
        }
        let mut figures = setup.measure_both(&target.dial, &page)?;
        figures.extend(first.map(|first| (Metric::First, first)));
        Ok(figures)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_names_are_a_thousand_organisations_and_flat_ones_sort_by_number() {
        assert_eq!(Names::Nested.name(0, MANY), "org000/app000");
        assert_eq!(Names::Nested.name(99_999, MANY), "org999/app099");
        assert_eq!(Names::Nested.name(50_050, MANY), ONES);
        assert_eq!(Names::Flat.name(42, MANY), "app000042");
    }
}
