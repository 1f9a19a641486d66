import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { partPath } from '../../real/support/find-part.ts';
import { type ServerProcess, startServer } from '../../real/support/server-process.ts';
import {
  apiServerCommand,
  type ComponentCommand,
  controllerManagerCommand,
  etcdCommand,
} from './control-plane-commands.ts';
import { writeControlPlaneFiles } from './control-plane-files.ts';
import { findFreePorts } from './free-port.ts';
import { isServing, waitUntil } from './readiness.ts';

export interface ControlPlaneOptions {
  /** Runs kube-controller-manager too (service accounts, garbage collection, namespaces that end): the part must be required. */
  readonly controllers?: boolean;
}

/** A Kubernetes API server with an etcd of its own and no node. Any number of them run side by side. */
export interface ControlPlane {
  /** Path of a kubeconfig whose user may do everything. */
  readonly kubeconfig: string;
  /** `https://127.0.0.1:port`. */
  readonly url: string;
  /** Ends the API server alone, as a crash would; what it stored stays. */
  stopApiServer(): Promise<void>;
  /** Starts it again on the same port and waits until it is ready. */
  startApiServer(): Promise<void>;
  stop(): Promise<void>;
}

const serviceCidr = '10.96.0.0/24';
const serviceAddress = '10.96.0.1';

/**
 * Starts etcd and kube-apiserver with the default admission plugins, NodeRestriction, RBAC and TokenRequest, on free
 * ports of 127.0.0.1, and waits until they are ready: 3 to 6 s. They end with this process, whatever becomes of it.
 */
export async function startControlPlane({ controllers = false }: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const folder = await mkdtemp(join(tmpdir(), 'kube-'));
  const [port = 0, etcdPort = 0, peerPort = 0, controllerPort = 0] = await findFreePorts(4);
  const url = `https://127.0.0.1:${port}`;
  const servers: ServerProcess[] = [];
  const start = async ({ part, args }: ComponentCommand) => {
    const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME: folder };
    // What is stored goes with the folder: no server needs long to say goodbye to its watchers.
    const server = await startServer(partPath(part), args, { env, stopTimeoutMs: 500 });
    servers.push(server);
    return server;
  };
  const stop = async () => {
    await Promise.all(servers.map((server) => server.stop()));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const files = await writeControlPlaneFiles({
      folder,
      url,
      serverNames: ['localhost', '127.0.0.1'],
      serviceAddress,
    });
    const startApiServer = async () => {
      const options = { folder, files, etcdPort, port, bindAddress: '127.0.0.1', serviceCidr };
      const server = await start(apiServerCommand(options));
      await untilReady(server, () => isServing(`${url}/readyz`, files.admin));
      return server;
    };
    await start(etcdCommand({ folder, port: etcdPort, peerPort }));
    let apiServer = await startApiServer();
    if (controllers) {
      const server = await start(controllerManagerCommand({ folder, files, port: controllerPort }));
      // The last that it does for a new namespace, so that pods can be created from here on.
      const path = '/api/v1/namespaces/default/serviceaccounts/default';
      await untilReady(server, () => isServing(`${url}${path}`, files.admin));
    }
    return {
      kubeconfig: files.kubeconfig('admin'),
      url,
      stopApiServer: () => apiServer.stop(),
      startApiServer: async () => {
        apiServer = await startApiServer();
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Waits no longer than the server lives. What the server said is in the error. */
async function untilReady(server: ServerProcess, isReady: () => Promise<boolean>): Promise<void> {
  try {
    await waitUntil({ what: 'the server is ready', isReady, isAlive: () => isRunning(server.pid) });
  } catch (error) {
    throw new Error(`a server is not ready; it said last:\n${server.lines.slice(-20).join('\n')}`, { cause: error });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
