//! The status socket: whoever connects gets the status as one JSON object, then the end.

use std::{
    fs,
    io::{self, Read},
    os::{
        fd::AsRawFd,
        unix::{fs::PermissionsExt, net::UnixStream as Client},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    time,
};

use super::Status;

/// How long a client may take to read its answer, and an agent to give it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Clients served at a time; further ones wait.
const CLIENTS_MAX: usize = 16;
/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Owner and group.
const MODE: u32 = 0o660;
/// What the kernel takes as a socket's path (`sun_path`), with its final zero.
const PATH_BYTES_MAX: usize = 108;

/// A bound status socket. The file goes with it.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Binds the socket. One that a killed agent left is replaced; that no other agent is alive, the caller knows:
    /// it holds the spool's lock. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = within_limit(path, |path| UnixListener::bind(path))?;
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Answers with what `status` says, until dropped.
    pub async fn serve(self, status: impl Fn() -> Status + Send + Sync + 'static) {
        let clients = Arc::new(Semaphore::new(CLIENTS_MAX));
        let status = Arc::new(status);
        // Only closing a semaphore makes acquiring fail, and this one is never closed.
        while let Ok(place) = Arc::clone(&clients).acquire_owned().await {
            match self.listener.accept().await {
                Ok((client, _)) => {
                    let status = Arc::clone(&status);
                    tokio::spawn(async move {
                        let _place = place;
                        // A client that went away or is too slow wants no answer.
                        let _ = time::timeout(PATIENCE, answer(client, status())).await;
                    });
                }
                Err(error) => {
                    tracing::warn!("the status socket does not answer: {error}");
                    time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Nothing is lost when it stays: the next agent replaces it.
        let _ = fs::remove_file(&self.path);
    }
}

async fn answer(mut client: UnixStream, status: Status) -> io::Result<()> {
    let mut json = serde_json::to_vec(&status)?;
    json.push(b'\n');
    client.write_all(&json).await?;
    client.shutdown().await
}

/// Why there is no answer.
#[derive(thiserror::Error, Debug)]
pub enum AskError {
    /// There is no agent behind the path.
    #[error("no agent is running on {}", .path.parent().unwrap_or(.path).display())]
    NotRunning {
        /// The socket's path.
        path: PathBuf,
    },
    /// It cannot be asked.
    #[error("cannot ask the agent at {}", .path.display())]
    Io {
        /// The socket's path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It answered something else.
    #[error("cannot read what the agent answered")]
    Answer(#[source] serde_json::Error),
}

/// Asks the agent behind a socket.
///
/// # Errors
/// When none runs, or it does not answer.
pub fn ask(path: &Path) -> Result<Status, AskError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            AskError::NotRunning { path: path.to_owned() }
        }
        _ => AskError::Io { path: path.to_owned(), source },
    };
    let client = within_limit(path, |path| Client::connect(path)).map_err(failed)?;
    client.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let mut json = Vec::new();
    client.take(ANSWER_BYTES_MAX).read_to_end(&mut json).map_err(failed)?;
    serde_json::from_slice(&json).map_err(AskError::Answer)
}

/// Calls with a path that the kernel takes: where it is too long, one through the folder's descriptor.
fn within_limit<T>(path: &Path, call: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) if path.as_os_str().len() >= PATH_BYTES_MAX => {
            let folder = fs::File::open(folder)?;
            call(&Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
        }
        _ => call(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{AgentStatus, socket_path};

    fn status() -> Status {
        let agent = AgentStatus { name: "chat1".into(), pid: 42, ..AgentStatus::default() };
        Status { agent, ..Status::default() }
    }

    /// Asks from a thread, as another process would.
    async fn ask_from_outside(path: PathBuf) -> Result<Status, AskError> {
        tokio::task::spawn_blocking(move || ask(&path)).await.unwrap()
    }

    #[tokio::test]
    async fn answers_every_client_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = socket_path(folder.path());
        assert!(matches!(ask(&path), Err(AskError::NotRunning { .. })));
        let serving = tokio::spawn(Socket::bind(&path).unwrap().serve(status));
        for _ in 0..3 {
            assert_eq!(ask_from_outside(path.clone()).await.unwrap(), status());
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        serving.abort();
        assert!(serving.await.unwrap_err().is_cancelled());
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn replaces_the_socket_of_a_killed_agent() {
        let folder = tempfile::tempdir().unwrap();
        let path = socket_path(folder.path());
        std::mem::forget(Socket::bind(&path).unwrap());
        let serving = tokio::spawn(Socket::bind(&path).unwrap().serve(status));
        assert_eq!(ask_from_outside(path).await.unwrap(), status());
        serving.abort();
    }

    #[test]
    fn a_socket_without_an_agent_is_no_running_agent() {
        let folder = tempfile::tempdir().unwrap();
        let path = socket_path(folder.path());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let error = ask(&path).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("no agent is running on {}", folder.path().display())
        );
    }

    #[tokio::test]
    async fn a_path_too_long_for_the_kernel_is_reached_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        let path = socket_path(&deep);
        let serving = tokio::spawn(Socket::bind(&path).unwrap().serve(status));
        assert_eq!(ask_from_outside(path).await.unwrap(), status());
        serving.abort();
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = socket_path(folder.path());
        let large =
            || Status { sources: vec![super::super::SourceStatus::default(); 50_000], ..status() };
        let serving = tokio::spawn(Socket::bind(&path).unwrap().serve(large));
        let silent = Client::connect(&path).unwrap();
        assert_eq!(ask_from_outside(path).await.unwrap().sources.len(), 50_000);
        drop(silent);
        serving.abort();
    }
}
