//! The rows of the table. Each says who takes part and what is measured of them.

mod crowd;
mod log;
mod messages;
mod presence;
mod storm;

use super::Row;
use super::figures::Column;

const LATENCY: &[Column] = &[
    Column::cost("p50", "p50", "µs"),
    Column::cost("p99", "p99", "µs"),
    Column::cost("known", "acknowledged p50", "µs"),
];
const RATE: &[Column] = &[Column::rate("rate", "messages", "/s")];
const DELIVERIES: &[Column] = &[Column::rate("deliveries", "deliveries", "/s")];

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "latency",
        title: "One-to-one, front-end to front-end, everything on one core",
        columns: LATENCY,
        on_one_core: true,
        candidates: messages::one_to_one,
    },
    Row {
        name: "latency-unpinned",
        title: "One-to-one, front-end to front-end, on all cores",
        columns: LATENCY,
        on_one_core: false,
        candidates: messages::one_to_one,
    },
    Row {
        name: "flow",
        title: "One-to-one, sustained",
        columns: RATE,
        on_one_core: false,
        candidates: messages::one_to_one_flow,
    },
    Row {
        name: "room-10",
        title: "Room of 10, the last member",
        columns: LATENCY,
        on_one_core: false,
        candidates: messages::room_of_10,
    },
    Row {
        name: "room-50",
        title: "Room of 50, the last member",
        columns: LATENCY,
        on_one_core: false,
        candidates: messages::room_of_50,
    },
    Row {
        name: "room-flow",
        title: "Room of 10, sustained",
        columns: DELIVERIES,
        on_one_core: false,
        candidates: messages::room_flow,
    },
    Row {
        name: "sessions",
        title: "Idle sessions of a registry",
        columns: crowd::SESSIONS,
        on_one_core: false,
        candidates: crowd::sessions,
    },
    Row {
        name: "sign-ins",
        title: "Sign-ins with an enrolled device, client side included",
        columns: crowd::SIGN_INS,
        on_one_core: false,
        candidates: crowd::sign_ins,
    },
    Row {
        name: "presence",
        title: "A change of presence, told to everybody who watches",
        columns: presence::PRESENCE,
        on_one_core: false,
        candidates: presence::presence,
    },
    Row {
        name: "idle",
        title: "The registry's core time for 1,000 idle sessions",
        columns: crowd::IDLE,
        on_one_core: false,
        candidates: crowd::idle,
    },
    Row {
        name: "storm",
        title: "Registry killed and started again, everybody comes back",
        columns: storm::STORM,
        on_one_core: false,
        candidates: storm::storm,
    },
    Row {
        name: "start",
        title: "Start of a peer with a long log",
        columns: log::START,
        on_one_core: false,
        candidates: log::start,
    },
    Row {
        name: "memory",
        title: "Memory of a peer with 10 links and 5 rooms",
        columns: log::MEMORY,
        on_one_core: false,
        candidates: log::memory,
    },
    Row {
        name: "search",
        title: "Search for the newest 50 in a long log",
        columns: log::SEARCH,
        on_one_core: false,
        candidates: log::search,
    },
];
