import { connect } from 'node:net';
import { parseArgs } from 'node:util';

const timeoutMs = 3_000;
export const defaultSocket = '/run/oci-connector/management.sock';

/**
 * Asks a management socket for `path`: 0 where the answer is 200, else 1 with the answer told; metrics are told as well.
 * For exec probes: two
 * agents share the ports of their node during an update, and a probe by port could ask the wrong one. Without
 * `node:http`, because the kubelet starts this every few seconds and it loads in half the time.
 */
export function probe(socketPath: string, path: string, tell: (text: string) => void): Promise<number> {
  return new Promise((resolve) => {
    let answer = '';
    const fail = (reason: string): void => {
      socket.destroy();
      tell(reason);
      resolve(1);
    };
    const socket = connect(socketPath);
    socket.setTimeout(timeoutMs, () => fail(`${socketPath}: no answer\n`));
    socket.setEncoding('utf8');
    socket.on('error', (error) => fail(`${socketPath}: ${error.message}\n`));
    socket.on('data', (text) => {
      answer += text;
    });
    socket.on('end', () => {
      const body = answer.split('\r\n\r\n')[1] ?? '';
      if (!/^HTTP\/1\.1 200 /.test(answer)) return fail(body || answer || `${socketPath}: no answer\n`);
      if (path === '/metrics') tell(body);
      resolve(0);
    });
    // HTTP/1.0, which knows no chunks: what is told is the body, and nothing between its parts.
    socket.write(`GET ${path} HTTP/1.0\r\nHost: localhost\r\n\r\n`);
  });
}

// By itself it starts in half the time that the whole command line takes.
if (import.meta.main) {
  const { values } = parseArgs({ options: { socket: { type: 'string' }, path: { type: 'string' } } });
  const { socket = defaultSocket, path = '/readyz' } = values;
  process.exitCode = await probe(socket, path, (text) => process.stderr.write(text));
}
