//! The rows of the table and the curves below it. Each says who takes part, what is measured of them, and what has to
//! be reached.

mod crowd;
mod growth_registry;
mod log;
mod messages;
mod presence;
mod storm;

use super::figures::Column;
use super::goals::{Bound, Goal};
use super::law::Law;
use super::{Growth, Row};

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
        goals: &[
            Goal::must("p50", Bound::Limit(3.0)),
            Goal::must("p50", Bound::Contender(1.0, MOSQUITTO)),
            Goal::stretch("p50", Bound::Limit(2.0)),
            Goal::stretch("p50", Bound::Contender(1.0, NGIRCD)),
        ],
        on_one_core: true,
        candidates: messages::one_to_one,
    },
    Row {
        name: "latency-unpinned",
        title: "One-to-one, front-end to front-end, on all cores",
        columns: LATENCY,
        goals: &[
            Goal::must("p99", Bound::Contender(2.0, MOSQUITTO)),
            Goal::stretch("p99", Bound::Contender(1.0, NGIRCD)),
        ],
        on_one_core: false,
        candidates: messages::one_to_one,
    },
    Row {
        name: "flow",
        title: "One-to-one, sustained",
        columns: RATE,
        goals: &[Goal::must("rate", ERGO), Goal::stretch("rate", Bound::Contender(1.0, NGIRCD))],
        on_one_core: false,
        candidates: messages::one_to_one_flow,
    },
    Row {
        name: "room-10",
        title: "Room of 10, the last member",
        columns: LATENCY,
        goals: &[
            Goal::must("p50", Bound::Limit(1.5)),
            Goal::must("p50", HALF_OF_GOSSIP_TO_10),
            Goal::stretch("p50", Bound::Contender(1.0, NGIRCD)),
        ],
        on_one_core: false,
        candidates: messages::room_of_10,
    },
    Row {
        name: "room-50",
        title: "Room of 50, the last member",
        columns: LATENCY,
        goals: &[
            Goal::must("p50", Bound::Limit(1.5)),
            Goal::must("p50", HALF_OF_GOSSIP_TO_50),
            Goal::stretch("p50", Bound::Contender(1.0, NGIRCD)),
        ],
        on_one_core: false,
        candidates: messages::room_of_50,
    },
    Row {
        name: "room-flow",
        title: "Room of 10, sustained",
        columns: DELIVERIES,
        goals: &[Goal::must("deliveries", GOSSIP), Goal::stretch("deliveries", GOSSIP_FOUR_TIMES)],
        on_one_core: false,
        candidates: messages::room_flow,
    },
    Row {
        name: "sessions",
        title: "Idle sessions of a registry",
        columns: crowd::SESSIONS,
        goals: &[
            Goal::must("memory", Bound::Value(20.0)),
            Goal::stretch("memory", Bound::Value(14.0)),
            Goal::must("held", Bound::Value(10_000.0)),
            Goal::stretch("held", Bound::Value(15_000.0)),
        ],
        on_one_core: false,
        candidates: crowd::sessions,
    },
    Row {
        name: "sign-ins",
        title: "Sign-ins with an enrolled device, client side included",
        columns: crowd::SIGN_INS,
        goals: &[Goal::must("rate", Bound::Value(500.0))],
        on_one_core: false,
        candidates: crowd::sign_ins,
    },
    Row {
        name: "presence",
        title: "A change of presence, told to everybody who watches",
        columns: presence::PRESENCE,
        goals: &[Goal::must("one", Bound::Limit(1.3)), Goal::must("many", Bound::Column(1.6, "one"))],
        on_one_core: false,
        candidates: presence::presence,
    },
    Row {
        name: "idle",
        title: "The registry's core time for 1,000 idle sessions",
        columns: crowd::IDLE,
        goals: &[Goal::must("share", Bound::Value(0.2))],
        on_one_core: false,
        candidates: crowd::idle,
    },
    Row {
        name: "storm",
        title: "Registry killed and started again, everybody comes back",
        columns: storm::STORM,
        goals: &[Goal::must("back", Bound::Value(30.0)), Goal::must("password", Bound::Value(2.0))],
        on_one_core: false,
        candidates: storm::storm,
    },
    Row {
        name: "start",
        title: "Start of a peer with a long log",
        columns: log::START,
        goals: &[Goal::must("ready", Bound::Value(60.0)), Goal::stretch("ready", Bound::Value(30.0))],
        on_one_core: false,
        candidates: log::start,
    },
    Row {
        name: "memory",
        title: "Memory of a peer with 10 links and 5 rooms",
        columns: log::MEMORY,
        goals: &[Goal::must("resident", Bound::Value(15.0)), Goal::stretch("resident", Bound::Value(10.0))],
        on_one_core: false,
        candidates: log::memory,
    },
    Row {
        name: "search",
        title: "Search for the newest 50 in a long log",
        columns: log::SEARCH,
        goals: &[
            Goal::must("common", Bound::Value(5.0)),
            Goal::stretch("common", Bound::Value(1.0)),
            Goal::must("begun", Bound::Value(5.0)),
            Goal::must("rare", Bound::Value(5.0)),
            Goal::must("narrowed", Bound::Value(5.0)),
        ],
        on_one_core: false,
        candidates: log::search,
    },
];

pub(super) const GROWTHS: &[Growth] = &[
    Growth {
        name: "growth-start",
        title: "Start of a peer",
        of: "messages in its log",
        sizes: &[1000, 10_000, 100_000, 1_000_000],
        quick_sizes: &[100, 300],
        columns: log::START,
        law: Law::Flat,
        because: "no message is read",
        candidates: log::start_with,
    },
    Growth {
        name: "growth-search",
        title: "Search for the newest 50",
        of: "messages in the log",
        sizes: &[1000, 10_000, 100_000, 1_000_000],
        quick_sizes: &[100, 300],
        columns: log::SEARCH_GROWTH,
        law: Law::Flat,
        because: "the index is read from its newest end until there are 50",
        candidates: log::search_in,
    },
    Growth {
        name: "growth-room",
        title: "A message in a room, the last member",
        of: "members",
        sizes: &[3, 6, 12, 25, 50],
        quick_sizes: &[3, 4],
        columns: LATENCY,
        law: Law::Linear,
        because: "every member is a process that has its turn on the same cores",
        candidates: messages::room_of,
    },
    Growth {
        name: "growth-sessions",
        title: "Idle sessions of a registry",
        of: "sessions",
        sizes: &[1000, 2000, 5000, 10_000],
        quick_sizes: &[20, 40],
        columns: growth_registry::MEMORY,
        law: Law::Flat,
        because: "each is one thread with its stack and its link",
        candidates: growth_registry::sessions_of,
    },
    Growth {
        name: "growth-sign-in",
        title: "Signing in with an enrolled device",
        of: "accounts",
        sizes: &[1000, 10_000, 100_000, 1_000_000],
        quick_sizes: &[20, 200],
        columns: growth_registry::SIGN_IN,
        law: Law::Flat,
        because: "an index is looked into, one level deeper for every hundredfold",
        candidates: growth_registry::sign_in_among,
    },
    Growth {
        name: "growth-presence",
        title: "A change of presence, told to everybody who watches",
        of: "online",
        sizes: &[100, 300, 1000, 3000, 6000],
        quick_sizes: &[20, 40],
        columns: presence::PRESENCE,
        law: Law::Linear,
        because: "everybody is sent a frame",
        candidates: presence::presence_to,
    },
];

const MOSQUITTO: &str = "mosquitto QoS 1";
const NGIRCD: &str = "ngircd";
/// 165,000 messages a second where ngircd had 256,000.
const ERGO: Bound = Bound::Elsewhere { who: "ergo", times: 0.64, of: NGIRCD };
/// iroh-gossip took 804 and 8,000 µs where ngircd took 188 and 493.
const HALF_OF_GOSSIP_TO_10: Bound = Bound::Elsewhere { who: "half of iroh-gossip", times: 2.1, of: NGIRCD };
const HALF_OF_GOSSIP_TO_50: Bound = Bound::Elsewhere { who: "half of iroh-gossip", times: 8.1, of: NGIRCD };
/// 160,000 deliveries a second where ngircd had 682,000.
const GOSSIP: Bound = Bound::Elsewhere { who: "iroh-gossip", times: 0.23, of: NGIRCD };
const GOSSIP_FOUR_TIMES: Bound = Bound::Elsewhere { who: "four times iroh-gossip", times: 0.94, of: NGIRCD };
