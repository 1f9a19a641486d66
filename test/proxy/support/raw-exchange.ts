import { once } from 'node:events';
import { connect } from 'node:net';

/**
 * Sends these bytes (Latin-1) to a port of this machine; returns all that comes back until the connection ends.
 * `isEnded`: this side sends an end behind them.
 */
export async function exchangeRaw(port: number, bytes: string, { isEnded = false } = {}): Promise<Buffer> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  // What broke the connection is told by what has come.
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.write(bytes, 'latin1');
  if (isEnded) socket.end();
  await once(socket, 'close');
  return Buffer.concat(chunks);
}
