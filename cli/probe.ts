import { request } from 'node:http';
import { parseArgs } from 'node:util';

const timeoutMs = 3_000;
export const defaultSocket = '/run/oci-connector/management.sock';

/**
 * Asks a management socket for `path`: 0 where the answer is 200, else 1 with the answer on standard error. For exec
 * probes: two agents share the ports of their node during an update, and a probe by port could ask the wrong one.
 */
export function probe(socketPath: string, path: string, tell: (text: string) => void): Promise<number> {
  return new Promise((resolve) => {
    const fail = (text: string): void => {
      tell(text);
      resolve(1);
    };
    const asked = request({ socketPath, path, timeout: timeoutMs }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => (response.statusCode === 200 ? resolve(0) : fail(text)));
    });
    asked.on('timeout', () => asked.destroy(new Error('no answer')));
    asked.on('error', (error) => fail(`${socketPath}: ${error.message}\n`));
    asked.end();
  });
}

// By itself it starts in half the time that the whole command line takes, and the kubelet starts it every few seconds.
if (import.meta.main) {
  const { values } = parseArgs({ options: { socket: { type: 'string' }, path: { type: 'string' } } });
  const { socket = defaultSocket, path = '/readyz' } = values;
  process.exitCode = await probe(socket, path, (text) => process.stderr.write(text));
}
