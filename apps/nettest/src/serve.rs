//! Answering.

use uknetdev::{Burst, Interest, NetError, Queue};
use ukplat::println;

use crate::answer::{Answer, Station};
use crate::{Ipv4, ping};

/// Frames that are taken at a time.
const BURST: usize = 32;

/// Answers until somebody says that it is enough.
pub fn run(ip: Ipv4) -> Result<(), NetError> {
    let mut queue = crate::queue()?;
    let [a, b, c, d] = ip;
    let interface = queue.interface();
    println!("{}: {} answers at {}.{}.{}.{}", interface.name(), interface.info().mac, a, b, c, d);
    announce(&mut queue, ip)?;
    serve(&mut queue, ip)?;
    let stats = interface.stats();
    println!(
        "received {} frames of {} bytes, sent {} frames of {} bytes, dropped {}, starved {}",
        stats.received,
        stats.received_bytes,
        stats.sent,
        stats.sent_bytes,
        stats.dropped,
        stats.starved
    );
    Ok(())
}

/// Says that somebody is there: who forwards frames learns where to.
fn announce(queue: &mut Queue, ip: Ipv4) -> Result<(), NetError> {
    let station = Station { mac: queue.interface().info().mac, ip };
    let mut burst = Burst::new(1)?;
    // It is empty.
    let _ = burst.push(ping::question(queue, station, ip)?);
    finish(queue, &mut burst)
}

/// Answers what comes on a queue until somebody says that it is enough.
pub fn serve(queue: &mut Queue, ip: Ipv4) -> Result<(), NetError> {
    let station = Station { mac: queue.interface().info().mac, ip };
    let (mut arrived, mut answers) = (Burst::new(BURST)?, Burst::new(BURST)?);
    loop {
        match (arrived.is_empty(), answers.is_empty()) {
            (true, true) => _ = queue.wait(Interest::Frames, u64::MAX),
            (_, false) => _ = queue.wait(Interest::FramesOrRoom, u64::MAX),
            (false, true) => {}
        }
        queue.receive(&mut arrived)?;
        while !answers.is_full()
            && let Some(mut frame) = arrived.pop()
        {
            match station.answer(&mut frame) {
                // There is room, as was just asked.
                Answer::Send => _ = answers.push(frame),
                Answer::None => queue.recycle(frame),
                Answer::Stop => return finish(queue, &mut answers),
            }
        }
        queue.transmit(&mut answers)?;
    }
}

/// Sends what is still to be sent.
fn finish(queue: &mut Queue, answers: &mut Burst) -> Result<(), NetError> {
    while !answers.is_empty() {
        queue.wait(Interest::FramesOrRoom, u64::MAX);
        queue.transmit(answers)?;
    }
    Ok(())
}
