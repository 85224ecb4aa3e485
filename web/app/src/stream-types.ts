/** The JSON of the admin stream, as web/state.go defines it, and of what the page asks for besides. */

export interface Fact {
  name: string;
  value: string;
}

export interface Lateness {
  fires: number;
  p50_us: number;
  p99_us: number;
  max_us: number;
}

export interface Sample {
  at_ms: number;
  injected: Lateness;
  control: Lateness;
}

export interface Hello {
  version: string;
  server: string;
  clock: string;
  clock_note: string;
  retimed: boolean;
  host: Fact[] | null;
  period_ms: number;
  history: Sample[] | null;
}

export interface Label extends Lateness {
  label: string;
  total: number;
  early: number;
}

export interface Peer {
  id: string;
  name: string;
  address: string;
  since_ms: number;
  away: boolean;
  rtt_us: number;
  jitter_us: number;
}

export interface Room {
  room: string;
  peers: Peer[] | null;
}

export interface Traffic {
  packets: number;
  bytes: number;
}

export interface Allocation {
  client: string;
  relay: string;
  transport: string;
  user: string;
  since_ms: number;
  channels: number;
  to_peers: Traffic;
  from_peers: Traffic;
  denied: number;
}

export interface SelfCall {
  status: 'starting' | 'connected' | 'failed';
  reason: string;
  rtt_us: number;
}

export interface State extends Sample {
  labels: Label[] | null;
  rooms: Room[] | null;
  allocations: Allocation[] | null;
  limits: Limit[] | null;
  self_call: SelfCall;
  outside?: Outside;
}

/** One of the relay's limits, by its name below turn.limits. */
export interface Limit {
  name: string;
  /** null for none. */
  ceiling: number | null;
  /** null where nobody counts. */
  in_use: number | null;
  /** null where it is counted with another limit. */
  refused: number | null;
}

/** Where relays are announced behind 1:1 NAT. */
export interface Outside {
  address: string;
  server: string;
  checked_ms: number;
  hairpin: boolean;
  problem: string;
}

/** One entry of GET api/allocations: all that the relay knows of it. */
export interface AllocationDetail {
  client: string;
  /** The listener's address. */
  server: string;
  relay: string;
  expires_ms: number;
  peers: { address: string; expires_ms: number }[];
  channels: { number: number; peer: string; expires_ms: number }[];
  drop_reasons: Record<string, number> | null;
}

/** GET readyz. */
export interface Readiness {
  ready: boolean;
  problems: string[];
}
