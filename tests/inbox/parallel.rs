//! Many readers of one inbox, some of which are killed.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use super::{Post, end, message, pair, spawn, start};

const ITEMS: usize = 30;

#[test]
fn eight_readers_get_every_message_once_and_none_hears_of_nothing_too_early() {
    let env = pair();
    let post = Post::open(&env);
    let manager = post.session_id("m1");
    for number in 0..ITEMS {
        post.put(&manager, &format!("{number:02}"));
    }
    let asked = AtomicUsize::new(0);
    let taken: Vec<Vec<String>> = thread::scope(|scope| {
        let readers: Vec<_> = (0..8)
            .map(|_| {
                let asked = &asked;
                let mut question = env.command();
                question.args(["session-inbox", "m1", "--consume-next", "--json"]);
                scope.spawn(move || {
                    let mut mine = Vec::new();
                    // As many questions as there are messages: none of them may be answered with nothing.
                    while asked.fetch_add(1, Ordering::SeqCst) < ITEMS {
                        let told = end(spawn(&mut question)).ok().json();
                        assert!(told["consumed"].is_object(), "nothing, while there was something: {told:#}");
                        mine.push(message(&told["consumed"]).to_owned());
                    }
                    mine
                })
            })
            .collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    let mut all: Vec<String> = taken.iter().flatten().cloned().collect();
    all.sort();
    let expected: Vec<String> = (0..ITEMS).map(|number| format!("message {number:02}")).collect();
    assert_eq!(all, expected);
    for mine in &taken {
        assert!(mine.is_sorted(), "each reader gets the older ones first: {mine:?}");
    }
}

#[test]
fn killed_readers_lose_nothing_and_confirmed_messages_come_once() {
    let env = pair();
    let post = Post::open(&env);
    let manager = post.session_id("m1");
    for number in 0..10 {
        post.put(&manager, &number.to_string());
    }
    // Each is killed at another moment: before, while and after it is handed a message.
    for delay in 0..12 {
        let mut reader = start(&env, "receive m1 --visibility 1 --wait --timeout 5 --json");
        thread::sleep(Duration::from_millis(delay * 6));
        reader.kill().unwrap();
        reader.wait().unwrap();
    }
    let mut confirmed: BTreeMap<String, u32> = BTreeMap::new();
    while confirmed.len() < 10 {
        let told = env.sh("receive m1 --wait --timeout 10 --visibility 60 --json").ok().json();
        let item = &told["received"];
        assert!(item.is_object(), "lost, with {confirmed:?} confirmed: {told:#}");
        *confirmed.entry(message(item).to_owned()).or_default() += 1;
        env.sh(&format!("ack {}", item["lease_token"].as_str().unwrap())).ok();
    }
    assert!(confirmed.values().all(|times| *times == 1), "{confirmed:?}");
    let rest = env.sh("session-inbox m1 --json").ok().json();
    assert_eq!(rest["counts"]["waiting"], 0, "{rest:#}");
}
