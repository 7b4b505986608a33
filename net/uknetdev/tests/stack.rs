//! What a network stack makes of queues: smoltcp at both ends of a wire, which loses frames.

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use uknetdev::{Burst, Mac, NetBuf, Queue, model, register};

/// A queue as smoltcp wants it.
struct Phy {
    queue: Queue,
    arrived: Burst,
    /// Frames to send, in one burst.
    out: Burst,
    /// Frames that were looked at.
    used: Burst,
}

impl Phy {
    fn new(queue: Queue) -> Self {
        let burst = || Burst::new(16).unwrap();
        Self { queue, arrived: burst(), out: burst(), used: burst() }
    }

    fn flush(&mut self) {
        self.queue.transmit(&mut self.out).unwrap();
        while let Some(frame) = self.used.pop() {
            self.queue.recycle(frame);
        }
    }
}

struct Arrived<'a> {
    frame: NetBuf,
    used: &'a mut Burst,
}

impl RxToken for Arrived<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, look: F) -> R {
        let result = look(&self.frame);
        // What there is no room for is dropped.
        let _ = self.used.push(self.frame);
        result
    }
}

struct Sending<'a> {
    queue: &'a mut Queue,
    out: &'a mut Burst,
}

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut frame = self.queue.buffer().unwrap();
        let result = write(frame.extend(len).unwrap());
        self.out.push(frame).unwrap();
        result
    }
}

impl Device for Phy {
    type RxToken<'a> = Arrived<'a>;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _now: Instant) -> Option<(Arrived<'_>, Sending<'_>)> {
        if self.out.is_full() {
            self.flush();
        }
        if self.arrived.is_empty() {
            self.queue.receive(&mut self.arrived).unwrap();
        }
        if self.out.is_full() {
            return None;
        }
        let frame = self.arrived.pop()?;
        let arrived = Arrived { frame, used: &mut self.used };
        Some((arrived, Sending { queue: &mut self.queue, out: &mut self.out }))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Sending<'_>> {
        if self.out.is_full() {
            self.flush();
        }
        let has_room = !self.out.is_full();
        has_room.then_some(Sending { queue: &mut self.queue, out: &mut self.out })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let info = self.queue.interface().info();
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = info.mtu + uknetdev::HEADER_LEN;
        capabilities.max_burst_size = Some(info.depth);
        capabilities
    }
}

/// A station with one TCP socket.
struct Station {
    phy: Phy,
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
}

impl Station {
    fn new(queue: Queue, last: u8) -> Self {
        let mut phy = Phy::new(queue);
        let Mac(mac) = phy.queue.interface().info().mac;
        let config = Config::new(EthernetAddress(mac).into());
        let mut interface = Interface::new(config, &mut phy, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            addresses.push(IpCidr::new(IpAddress::v4(10, 0, 0, last), 24)).unwrap();
        });
        let buffer = || tcp::SocketBuffer::new(vec![0; 16 << 10]);
        let mut sockets = SocketSet::new(Vec::new());
        let socket = sockets.add(tcp::Socket::new(buffer(), buffer()));
        Self { phy, interface, sockets, socket }
    }

    fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.socket)
    }

    fn poll(&mut self, now: Instant) {
        self.interface.poll(now, &mut self.phy, &mut self.sockets);
        self.phy.flush();
    }
}

#[test]
fn a_stack_sends_a_stream_over_a_wire_that_loses_frames() {
    let (near, far) = model::pair();
    near.lose(50);
    far.lose(70);
    let queue = |model| register(Box::new(model)).queue(0).unwrap();
    let (mut near, mut far) = (Station::new(queue(near), 1), Station::new(queue(far), 2));
    far.socket().listen(80).unwrap();
    let Station { interface, sockets, socket, .. } = &mut near;
    let socket = sockets.get_mut::<tcp::Socket<'_>>(*socket);
    socket.connect(interface.context(), (IpAddress::v4(10, 0, 0, 2), 80), 49_152).unwrap();

    let sent: Vec<u8> = (0..300_000u32).map(|at| (at * 7 / 8) as u8).collect();
    let (mut count, mut arrived) = (0, Vec::new());
    let mut now = Instant::ZERO;
    while arrived.len() < sent.len() {
        // A clock of its own: waiting for what was lost takes no time.
        now += Duration::from_millis(1);
        assert!(now < Instant::from_secs(3600), "{} bytes arrived", arrived.len());
        near.poll(now);
        far.poll(now);
        if near.socket().can_send() {
            count += near.socket().send_slice(&sent[count..]).unwrap();
        }
        if far.socket().can_recv() {
            let take = |bytes: &mut [u8]| (bytes.len(), bytes.to_vec());
            arrived.extend(far.socket().recv(take).unwrap());
        }
    }
    assert!(arrived == sent);
    assert!(near.phy.queue.interface().stats().sent > 200);
}
