/**
 * The room that a join token opens, by its claim "room" (RFC 7519 section 4.3); empty for one that opens every room, and for
 * what is no such token. It is read here without any proof, and the server judges it.
 */
export function roomOf(token: string): string {
  try {
    const { room } = JSON.parse(atob(base64(token.split('.')[1] ?? ''))) as { room?: unknown };
    return typeof room === 'string' && room !== '*' ? room : '';
  } catch {
    return '';
  }
}

/** From base64url, without padding, which atob takes. */
function base64(text: string): string {
  return text.replaceAll('-', '+').replaceAll('_', '/');
}
