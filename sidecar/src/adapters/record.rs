//! The pod's own report annotation, as the downward API mounts it.

use std::{fs, path::Path};

use proto::{names::REPORT_FILE, report::Record};

/// The record of pod `pod_uid` in the folder `mount`; a missing file, or another pod's record, is none.
#[must_use]
pub fn read(mount: &Path, pod_uid: &str) -> Option<Record> {
    Record::of_pod(pod_uid, &fs::read_to_string(mount.join(REPORT_FILE)).ok()?)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proto::report::{EndedBy, Reason, Report};

    use super::*;

    #[test]
    fn only_a_record_of_this_very_pod_counts() {
        let mount = tempfile::tempdir().unwrap();
        assert_eq!(read(mount.path(), "u1"), None);
        let report = Report::without_requests(EndedBy::Count, UNIX_EPOCH, "warm");
        let record = Record::new("u1", Reason::WarmupSucceeded, report);
        fs::write(mount.path().join(REPORT_FILE), record.to_annotation()).unwrap();
        assert_eq!(read(mount.path(), "u1"), Some(record));
        assert_eq!(read(mount.path(), "u2"), None);
    }
}
