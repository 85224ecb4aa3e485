import { type SizedField, TooLargeError } from './errors.js';
import type { ClientMessage, Limits } from './protocol.js';

const KIB = 1024;
/** The limits that each server tells, as they are where it does not. */
const MESSAGE_BYTES = 64 * KIB;
const SDP_BYTES = 32 * KIB;
const DATA_BYTES = 16 * KIB;
/** The limits that are the same everywhere. */
const FIXED_BYTES = 4 * KIB;

const utf8 = new TextEncoder();

/** What of a message the server would refuse for its size, if anything: a field, or all, which ends the connection. */
export function excess(message: ClientMessage, told: Partial<Limits> | null): TooLargeError | null {
  const fields: [SizedField, number][] = [
    ['sdp', told?.sdp_bytes || SDP_BYTES],
    ['data', told?.data_bytes || DATA_BYTES],
    ['candidate', FIXED_BYTES],
    ['metadata', FIXED_BYTES],
    ['stats', FIXED_BYTES],
    ['message', told?.message_bytes || MESSAGE_BYTES],
  ];
  for (const [field, limit] of fields) {
    const bytes = utf8.encode(textOf(message, field)).length;
    if (bytes > limit) return new TooLargeError(field, bytes, limit);
  }
  return null;
}

/** What counts: a description as it is, all else as JSON. */
function textOf(message: ClientMessage, field: SizedField): string {
  if (field === 'message') return JSON.stringify(message);
  const value = (message as { [field in SizedField]?: unknown })[field];
  return field === 'sdp' && typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}
