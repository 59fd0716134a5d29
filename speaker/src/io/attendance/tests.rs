use std::net::Ipv4Addr;

use tokio::time::timeout;

use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SOON: Duration = Duration::from_secs(10);

/// Somebody to attend, and its address.
async fn attended() -> (SocketAddr, AbortOnDropHandle<()>) {
    let listener = Attended::bind((LOOPBACK, 0).into()).await.unwrap();
    let address = listener.0.local_addr().unwrap();
    (address, AbortOnDropHandle::new(tokio::spawn(listener.run())))
}

#[tokio::test]
async fn a_connection_is_up_once_the_other_side_has_greeted() {
    let (address, _task) = attended().await;
    connect(LOOPBACK, address).await.unwrap();
    // Listening, but nobody takes the connection: a process that hangs.
    let hung = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let attempt = connect(LOOPBACK, hung.local_addr().unwrap());
    assert!(timeout(Duration::from_millis(50), attempt).await.is_err());
}

#[tokio::test]
async fn the_end_of_a_connection_that_was_up_is_told_and_it_is_made_again() {
    let stranger = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let address = stranger.local_addr().unwrap();
    let (events, mut told) = mpsc::channel(8);
    let mut attendance = Attendance::new(LOOPBACK, events);
    attendance.set(&[address].into());
    // Closed before it was up, which says nothing; then twice after a greeting.
    drop(stranger.accept().await.unwrap());
    for _ in 0..2 {
        let (mut stream, _) = timeout(SOON, stranger.accept()).await.unwrap().unwrap();
        assert!(told.try_recv().is_err());
        stream.write_all(GREETING).await.unwrap();
        drop(stream);
        assert_eq!(timeout(SOON, told.recv()).await.unwrap(), Some(Event::Hangup(address)));
    }
}

#[tokio::test]
async fn a_refusal_is_told_where_there_was_a_connection_before_and_only_there() {
    let reserved = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let (events, mut told) = mpsc::channel(8);
    let mut attendance = Attendance::new(LOOPBACK, events);
    // Refused at first, as by a firewall.
    attendance.set(&[address].into());
    let refused = connect(LOOPBACK, address).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    tokio::task::yield_now().await;
    let stranger = TcpListener::bind(address).await.unwrap();
    let (mut stream, _) = timeout(SOON, stranger.accept()).await.unwrap().unwrap();
    assert!(told.try_recv().is_err());
    stream.write_all(GREETING).await.unwrap();
    drop((stream, stranger));
    // The end of it; and then that nobody is there.
    for _ in 0..2 {
        assert_eq!(timeout(SOON, told.recv()).await.unwrap(), Some(Event::Hangup(address)));
    }
}

#[tokio::test]
async fn one_that_is_no_longer_wanted_is_left_without_a_word() {
    let (address, task) = attended().await;
    let (events, mut told) = mpsc::channel(8);
    let mut attendance = Attendance::new(LOOPBACK, events);
    attendance.set(&[address].into());
    attendance.set(&BTreeSet::new());
    drop(task);
    drop(attendance);
    assert_eq!(timeout(SOON, told.recv()).await.unwrap(), None);
}

#[test]
fn places_are_limited_and_given_back() {
    let held = Arc::new(Held::default());
    let address = |n: usize| IpAddr::from(Ipv4Addr::from_bits(u32::try_from(n).unwrap()));
    let of_one: Vec<_> = (0..MOST_FROM_ONE).filter_map(|_| Held::place(&held, LOOPBACK)).collect();
    assert_eq!(of_one.len(), MOST_FROM_ONE);
    assert!(Held::place(&held, LOOPBACK).is_none());
    let others: Vec<_> = (0..MOST).filter_map(|n| Held::place(&held, address(n))).collect();
    assert_eq!(of_one.len() + others.len(), MOST);
    drop(of_one);
    assert!(Held::place(&held, LOOPBACK).is_some());
    drop(others);
    assert!(held.0.lock().unwrap().is_empty());
}

#[test]
fn a_network_of_ipv6_has_few_places_however_many_addresses_it_has() {
    let held = Arc::new(Held::default());
    let address = |network: u128, n: u128| IpAddr::from(Ipv6Addr::from_bits(network << 64 | n));
    let of = |network| -> Vec<Place> {
        (0..1_000).filter_map(|n| Held::place(&held, address(network, n))).collect()
    };
    let (one, other) = (of(1), of(2));
    assert_eq!((one.len(), other.len()), (MOST_FROM_ONE_NETWORK, MOST_FROM_ONE_NETWORK));
    let mapped = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().into();
    assert_eq!(origin(mapped), (IpAddr::from([192, 0, 2, 1]), MOST_FROM_ONE));
    drop((one, other));
    assert!(held.0.lock().unwrap().is_empty());
}

#[tokio::test]
async fn whoever_says_something_is_hung_up_on() {
    let (address, _task) = attended().await;
    let mut stranger = connect(LOOPBACK, address).await.unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let ended = timeout(SOON, stranger.read(&mut [0; 8])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}
