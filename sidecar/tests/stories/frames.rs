//! HTTP/2 by hand: as an app speaks it that no library would be.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// `:status: 200`, packed.
pub(crate) const ANSWER: u8 = 0x88;
const PREFACE: usize = 24;

/// A frame as it travels.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The app's end of a connection. It is read all the time, as the sidecar's answers to floods would else stop both.
pub(crate) struct Http2 {
    write: WriteHalf<TcpStream>,
    requests: tokio::sync::mpsc::Receiver<u32>,
}

impl Http2 {
    /// Takes the preface and says its settings: the defaults.
    pub(crate) async fn accept(stream: TcpStream) -> io::Result<Self> {
        let (mut read, mut write) = tokio::io::split(stream);
        read.read_exact(&mut [0; PREFACE]).await?;
        write.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
        let (sender, requests) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok(id) = next_headers(&mut read).await {
                if sender.send(id).await.is_err() {
                    break;
                }
            }
        });
        Ok(Self { write, requests })
    }

    /// The stream of the next request.
    pub(crate) async fn next_request(&mut self) -> io::Result<u32> {
        self.requests.recv().await.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// 200, without a body.
    pub(crate) async fn answer(&mut self, stream: u32) -> io::Result<()> {
        self.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &[ANSWER])).await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write.write_all(bytes).await
    }
}

/// Reads up to the next frame of headers.
async fn next_headers(read: &mut ReadHalf<TcpStream>) -> io::Result<u32> {
    loop {
        let mut head = [0; 9];
        read.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        read.read_exact(&mut payload).await?;
        if head[3] == HEADERS {
            return Ok(u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
        }
    }
}
