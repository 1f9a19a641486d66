import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { pipeline, Transform } from 'node:stream';

/** A line to a server that is listened in on: everything goes through as it is. */
export interface Tap {
  readonly port: number;
  /** Those of the watched texts that the server has said, wherever in its answers. */
  readonly heard: ReadonlySet<string>;
  close(): Promise<void>;
}

/** Opens a port of 127.0.0.1 that leads to `target`, and listens for `watched` in what comes back. */
export async function openTap(target: number, watched: readonly string[]): Promise<Tap> {
  const heard = new Set<string>();
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    for (const socket of [client, upstream]) sockets.add(socket.once('close', () => sockets.delete(socket)));
    const close = () => {
      client.destroy();
      upstream.destroy();
    };
    pipeline(client, upstream, close);
    pipeline(upstream, listenFor(watched, heard), client, close);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    heard,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function listenFor(watched: readonly string[], heard: Set<string>): Transform {
  const overlap = Math.max(...watched.map((text) => Buffer.byteLength(text))) - 1;
  // A text may lie across the border of two chunks.
  let end: Buffer = Buffer.alloc(0);
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const border = Buffer.concat([end, chunk.subarray(0, overlap)]);
      for (const text of watched) if (border.includes(text) || chunk.includes(text)) heard.add(text);
      end = (chunk.length < overlap ? Buffer.concat([end, chunk]) : chunk).subarray(-overlap);
      done(null, chunk);
    },
  });
}
