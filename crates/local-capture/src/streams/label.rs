//! Stream labels: the time a stream was enabled, which tells the streams of a table apart.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::shard_log::catalog::Catalog;

/// The first label from `now_ms` on that no stream of the table has: `2026-11-22T07:12:16.123`.
pub(crate) fn free(catalog: &Catalog, table_name: &str, now_ms: i64) -> String {
    let mut ms = now_ms;
    loop {
        let label = format(ms);
        if catalog.labelled(table_name, &label).is_none() {
            return label;
        }
        ms += 1;
    }
}

fn format(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_the_form_that_aws_gives_it() {
        assert_eq!(free(&Catalog::default(), "t", 1_795_331_536_123), "2026-11-22T07:12:16.123");
    }
}
