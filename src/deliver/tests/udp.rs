//! Datagrams.

use tokio::net::UdpSocket;

use super::{Running, feed::Shelf, syslog_settings, within};
use crate::deliver::{TlsSettings, Transport};

#[tokio::test]
async fn each_message_is_a_datagram() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = vec![socket.local_addr().unwrap().to_string()];
    let settings = syslog_settings(address, Transport::Udp, TlsSettings::default());
    let running = Running::start(&settings, Shelf::with(20));
    let mut bytes = [0; 2048];
    for n in 1..=20 {
        let length = within("a datagram comes", socket.recv(&mut bytes)).await.unwrap();
        let text = std::str::from_utf8(&bytes[..length]).unwrap();
        assert!(
            text.starts_with("<134>1 - host") && text.contains(&format!("seq=\"{n}\"")),
            "{text}"
        );
    }
    running.delivered().await;
    let (_, mark) = running.stop().await;
    assert_eq!(mark.tally.shipped, 20);
}
