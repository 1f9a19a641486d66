import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ProxyError } from '../platform/errors.ts';
import { printable } from '../platform/printable.ts';

/** Of the scheme that every client knows; the user name names connectors, the password is the token. */
export const proxyChallenge = { 'proxy-authenticate': 'Basic realm="oci-connector"' } as const;

/** What a CONNECT is answered with when bytes may follow. */
export const established = 'HTTP/1.1 200 Connection established\r\n\r\n';

const reasonLengthMax = 400;
/** A client that has been refused gets this long to read why. */
const lingerMs = 2_000;

/**
 * Refuses a CONNECT and ends its connection. Clients show the status line and nothing else of it, most of them, so that
 * the reason stands there as well.
 */
export function refuseConnect(socket: Socket, error: ProxyError): void {
  const body = error.toBody();
  const headers = {
    ...error.headers,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  };
  const reason = `${STATUS_CODES[error.status] ?? 'Refused'}: ${printable(error.message, reasonLengthMax)}`;
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  socket.end(`HTTP/1.1 ${error.status} ${reason}\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
  // What it has sent already is read: a connection that closes over unread bytes is reset, and the answer with it.
  socket.resume();
  const linger = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(linger));
}
