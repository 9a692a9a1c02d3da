//! Certificates that somebody else made, as files.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::serving::{Serving, ServingError};

/// An environment string has 128 KiB at most.
const MAX_CA: usize = 32 << 10;

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
    /// The files are there and cannot be served.
    #[error("cannot serve with tls.crt and tls.key of {}", folder.display())]
    Unusable {
        /// The folder
        folder: PathBuf,
        /// Why
        source: ServingError,
    },
}

/// `tls.crt` with `tls.key`, and the text of `ca.crt`, of `folder`.
pub async fn read(folder: &Path) -> Result<(Serving, String), FilesError> {
    let [chain, key, ca] = ["tls.crt", "tls.key", "ca.crt"].map(|name| folder.join(name));
    let serving = Serving::from_pem(&contents(chain).await?, &contents(key).await?)
        .map_err(|source| FilesError::Unusable { folder: folder.to_owned(), source })?;
    let ca = contents(ca).await?;
    if ca.len() > MAX_CA {
        return Err(FilesError::LongCa { folder: folder.to_owned() });
    }
    Ok((serving, String::from_utf8_lossy(&ca).into_owned()))
}

async fn contents(path: PathBuf) -> Result<Vec<u8>, FilesError> {
    tokio::fs::read(&path).await.map_err(|source| FilesError::Unreadable { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::certificates::Authority;

    #[tokio::test]
    async fn a_file_that_is_missing_or_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = read(folder.path()).await.unwrap_err().to_string();
        assert!(missing.ends_with("tls.crt"), "{missing}");
        let (one, other) = (Authority::generate().unwrap(), Authority::generate().unwrap());
        for (name, text) in
            [("tls.crt", one.certificate()), ("ca.crt", one.certificate()), ("tls.key", &other.key())]
        {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        assert!(matches!(read(folder.path()).await, Err(FilesError::Unusable { .. })));
        std::fs::write(folder.path().join("tls.key"), one.key()).unwrap();
        assert_eq!(read(folder.path()).await.unwrap().1, one.certificate());
        std::fs::write(folder.path().join("ca.crt"), one.certificate().repeat(100)).unwrap();
        assert!(matches!(read(folder.path()).await, Err(FilesError::LongCa { .. })));
    }
}
