//! Certificates that somebody else made, as files.

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{Stream, stream};

use super::{
    Credentials,
    bundle::Bundle,
    serving::{Serving, ServingError},
};

/// An environment string has 128 KiB at most, and there are two bundles in it while one follows the other.
const MAX_CA: usize = 32 << 10;
/// How often the files are looked at.
///
/// The kubelet exchanges the link `..data` beside the files, of which a watch of them learns nothing; three stats tell
/// of every way to exchange them, on every file system.
const INTERVAL: Duration = Duration::from_secs(2);
const NAMES: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

/// Why files cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file is not readable.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file
        path: PathBuf,
        /// Why
        source: io::Error,
    },
    /// The sidecars get it in an environment variable, and Linux bounds these.
    #[error("ca.crt of {} is longer than {MAX_CA} bytes; keep only the CA of tls.crt in it", folder.display())]
    LongCa {
        /// The folder
        folder: PathBuf,
    },
    /// Clients would trust nobody.
    #[error("there is no certificate in ca.crt of {}", folder.display())]
    NoCa {
        /// The folder
        folder: PathBuf,
    },
    /// The files are there and cannot be served.
    #[error("cannot serve with tls.crt and tls.key of {}", folder.display())]
    Unusable {
        /// The folder
        folder: PathBuf,
        /// Why
        source: ServingError,
    },
}

/// `tls.crt` with `tls.key`, and `ca.crt`, of `folder`.
pub async fn read(folder: &Path) -> Result<Credentials, FilesError> {
    // One generation of what the kubelet wrote, even if the next one comes in between.
    let written = tokio::fs::canonicalize(folder.join("..data")).await;
    let written = written.unwrap_or_else(|_| folder.to_owned());
    let [chain, key, ca] = NAMES.map(|name| written.join(name));
    let serving = Serving::from_pem(&contents(chain).await?, &contents(key).await?)
        .map_err(|source| FilesError::Unusable { folder: folder.to_owned(), source })?;
    let ca = contents(ca).await?;
    if ca.len() > MAX_CA {
        return Err(FilesError::LongCa { folder: folder.to_owned() });
    }
    let bundle = Bundle::of_pem(&String::from_utf8_lossy(&ca));
    if bundle.certificates().is_empty() {
        return Err(FilesError::NoCa { folder: folder.to_owned() });
    }
    Ok(Credentials { serving, bundle })
}

/// Says so each time that the files of `folder` have changed.
pub fn changes(folder: PathBuf) -> impl Stream<Item = ()> + Send {
    stream::unfold((folder, None), |(folder, mut before)| async move {
        loop {
            let now = generation(&folder).await;
            if before.replace(now.clone()).is_some_and(|before| before != now) {
                return Some(((), (folder, before)));
            }
            tokio::time::sleep(INTERVAL).await;
        }
    })
}

/// What is another when a file is another: inode, change time and size.
async fn generation(folder: &Path) -> Vec<Option<(u64, i64, i64, u64)>> {
    let mark = |file: Metadata| (file.ino(), file.ctime(), file.ctime_nsec(), file.size());
    let mut found = Vec::new();
    for name in NAMES {
        found.push(tokio::fs::metadata(folder.join(name)).await.ok().map(mark));
    }
    found
}

async fn contents(path: PathBuf) -> Result<Vec<u8>, FilesError> {
    tokio::fs::read(&path).await.map_err(|source| FilesError::Unreadable { path, source })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use futures::StreamExt;

    use super::*;
    use crate::adapters::certificates::Authority;

    fn write(folder: &Path, certificate: &str, key: &str, ca: &str) {
        for (name, text) in NAMES.into_iter().zip([certificate, key, ca]) {
            fs::write(folder.join(name), text).unwrap();
        }
    }

    #[tokio::test]
    async fn a_file_that_is_missing_or_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = read(folder.path()).await.unwrap_err().to_string();
        assert!(missing.ends_with("tls.crt"), "{missing}");
        let [one, other] = [(); 2].map(|()| Authority::generate(0).unwrap());
        write(folder.path(), one.certificate(), &other.key(), one.certificate());
        assert!(matches!(read(folder.path()).await, Err(FilesError::Unusable { .. })));
        write(folder.path(), one.certificate(), &one.key(), one.certificate());
        assert_eq!(read(folder.path()).await.unwrap().bundle.text(), one.certificate());
        write(folder.path(), one.certificate(), &one.key(), &one.certificate().repeat(100));
        assert!(matches!(read(folder.path()).await, Err(FilesError::LongCa { .. })));
        write(folder.path(), one.certificate(), &one.key(), "rubbish");
        assert!(matches!(read(folder.path()).await, Err(FilesError::NoCa { .. })));
    }

    /// The files as the kubelet lays them out, in a generation called `name`.
    fn lay_out(folder: &Path, name: &str) -> String {
        let ca = Authority::generate(0).unwrap();
        fs::create_dir(folder.join(name)).unwrap();
        write(&folder.join(name), ca.certificate(), &ca.key(), ca.certificate());
        symlink(name, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        ca.certificate().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn an_exchange_of_the_kubelets_link_is_noticed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        lay_out(folder.path(), "..1");
        for name in NAMES {
            symlink(Path::new("..data").join(name), folder.path().join(name)).unwrap();
        }
        let mut changes = std::pin::pin!(changes(folder.path().to_owned()));
        let quiet = tokio::time::timeout(10 * INTERVAL, changes.next());
        assert!(quiet.await.is_err());
        let new = lay_out(folder.path(), "..2");
        assert_eq!(tokio::time::timeout(2 * INTERVAL, changes.next()).await, Ok(Some(())));
        assert_eq!(read(folder.path()).await.unwrap().bundle.text(), new);
    }
}
