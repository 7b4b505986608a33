use std::sync::Arc;

use uk9p::{Channel, ChannelError, Message};
use ukplat::device::Registers;
use virtio_device::model::Model;
use virtio_device::{Error, features, kinds};

use crate::{NineP, config::MOUNT_TAG};

fn model(tag: &[u8], more: u64) -> Model {
    let model = Model::new(kinds::NINEP, features::VERSION_1 | more, &[16]);
    let registers: Registers = model.config();
    registers.write16(0, tag.len() as u16);
    for (at, byte) in tag.iter().enumerate() {
        registers.write8(2 + at, *byte);
    }
    model
}

fn device(model: &Model) -> Result<NineP, Error> {
    NineP::new(Box::new(model.clone()))
}

fn message() -> Message {
    Message { request: vec![1; 20], reply: vec![0; 120], length: 100 }
}

#[test]
fn devices_without_a_sensible_tag_are_refused() {
    assert_eq!(device(&model(b"data", MOUNT_TAG)).unwrap().tag(), b"data");
    let refused = |model: &Model| device(model).unwrap_err();
    assert_eq!(refused(&model(b"data", 0)), Error::Config("it has no mount tag"));
    let nonsense = Error::Config("its mount tag makes no sense");
    assert_eq!(refused(&model(b"", MOUNT_TAG)), nonsense);
    let long = model(b"", MOUNT_TAG);
    long.config().write16(0, u16::MAX);
    assert_eq!(refused(&long), nonsense);
}

#[test]
fn each_message_gets_its_reply_whatever_the_order() {
    let model = model(b"data", MOUNT_TAG);
    let device = Arc::new(device(&model).unwrap());
    let threads: Vec<_> = (0..8)
        .map(|n: usize| {
            let device = device.clone();
            std::thread::spawn(move || {
                let message =
                    Message { request: vec![0; 10 + n], reply: vec![0; 100], length: 100 };
                let done = device.exchange(message).unwrap();
                assert_eq!((done.request.len(), done.reply().len()), (10 + n, 20 + n));
            })
        })
        .collect();
    let mut waiting = Vec::new();
    let mut served = 0;
    while served < 8 {
        while let Some(chain) = model.queue(0).pop() {
            waiting.push((chain.head, chain.pieces[0].len));
        }
        // The latest first, several at a time.
        if waiting.len() >= 3.min(8 - served) {
            while let Some((head, length)) = waiting.pop() {
                model.queue(0).push(head, length + 10);
                served += 1;
            }
            model.interrupt();
        }
        std::thread::yield_now();
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_device_that_breaks_the_rules_gives_errors_for_ever() {
    let model = model(b"data", MOUNT_TAG);
    let device = Arc::new(device(&model).unwrap());
    let waiting = {
        let device = device.clone();
        std::thread::spawn(move || device.exchange(message()).map(drop))
    };
    let chain = loop {
        if let Some(chain) = model.queue(0).pop() {
            break chain;
        }
        std::thread::yield_now();
    };
    model.queue(0).push(chain.head, 101);
    model.interrupt();
    assert_eq!(waiting.join().unwrap(), Err(ChannelError::Broken));
    assert_eq!(device.exchange(message()).map(drop), Err(ChannelError::Broken));
}

#[test]
fn an_empty_message_is_refused() {
    let device = device(&model(b"data", MOUNT_TAG)).unwrap();
    assert_eq!(device.exchange(Message::default()).map(drop), Err(ChannelError::BadMessage));
}
