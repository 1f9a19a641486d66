import { once } from 'node:events';
import type { Server } from 'node:http';

/** Listens on some port and says which, as the Go peer does. */
export async function listen(server: Server): Promise<void> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address !== null && typeof address === 'object') process.stdout.write(`http://127.0.0.1:${address.port}\n`);
}
