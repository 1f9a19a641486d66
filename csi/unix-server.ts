import { chmod, lstat, mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { inTime } from '../platform/in-time.ts';
import type { Timers } from '../platform/kubernetes/timers.ts';

export interface UnixServerOptions {
  readonly path: string;
  readonly services: readonly (readonly [ServiceDefinition, UntypedServiceImplementation])[];
  readonly timers: Timers;
  /** Told when the socket had to be made anew, or cannot be: it is tried again every second. */
  readonly onRenewed: (error: unknown) => void;
}

/** A socket's path is at most so long, in bytes (unix(7)). */
const socketPathMax = 107;
const pollMs = 1_000;
/** A volume's request is about as large as its pod's token and parameters. */
const messageMax = 1_048_576;
const limits = {
  'grpc.max_receive_message_length': messageMax,
  'grpc.max_send_message_length': messageMax,
  'grpc.max_concurrent_streams': 1_024,
};

/**
 * A gRPC server on a Unix socket for root. A file that an earlier process left is replaced, and a socket that somebody
 * removes, or another process takes, is made anew.
 */
export class UnixServer {
  readonly #options: UnixServerOptions;
  #server: Server | undefined;
  #inode: bigint | undefined;
  #count = 0;
  #cancel: (() => void) | undefined;
  #renewing: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(options: UnixServerOptions) {
    this.#options = options;
  }

  /** Rejects where the first socket cannot be made. */
  static async listen(options: UnixServerOptions): Promise<UnixServer> {
    const server = new UnixServer(options);
    await server.renew();
    server.#watch();
    return server;
  }

  get path(): string {
    return this.#options.path;
  }

  /** Makes the socket anew: whoever watches its folder takes it for another one. */
  renew(): Promise<void> {
    this.#renewing = this.#renewing.catch(() => {}).then(() => (this.#isClosed ? undefined : this.#renew()));
    return this.#renewing;
  }

  /** Takes no more calls, and lets those under way end for at most `graceMs`. */
  async close(graceMs = 0): Promise<void> {
    this.#isClosed = true;
    this.#cancel?.();
    await this.#renewing.catch(() => {});
    if (await this.#isInPlace()) await rm(this.#options.path, { force: true });
    if (this.#server !== undefined) await shutDown(this.#server, graceMs);
  }

  async #renew(): Promise<void> {
    const { path, services } = this.#options;
    // The kubelet does not look at names that begin with a dot. Renamed, the socket comes with its mode, takes the place
    // of whatever is there, and is not removed by whoever had that name before.
    this.#count += 1;
    const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.${this.#count}`);
    if (Buffer.byteLength(temporary) > socketPathMax) throw new Error(`the path of socket ${path} is too long`);
    await mkdir(dirname(path), { recursive: true, mode: 0o750 });
    await rm(temporary, { force: true });
    const server = new Server(limits);
    for (const [definition, implementation] of services) server.addService(definition, implementation);
    try {
      await bind(server, temporary);
      await chmod(temporary, 0o600);
      await rename(temporary, path);
    } catch (error) {
      server.forceShutdown();
      await rm(temporary, { force: true });
      throw error;
    }
    const before = this.#server;
    this.#server = server;
    this.#inode = (await lstat(path, { bigint: true })).ino;
    if (before !== undefined) void shutDown(before, 120_000);
  }

  #watch(): void {
    this.#cancel = this.#options.timers.after(pollMs, async () => {
      if (!(await this.#isInPlace())) {
        await this.renew().then(() => this.#options.onRenewed(undefined), this.#options.onRenewed);
      }
      if (!this.#isClosed) this.#watch();
    });
  }

  async #isInPlace(): Promise<boolean> {
    try {
      return (await lstat(this.#options.path, { bigint: true })).ino === this.#inode;
    } catch {
      return false;
    }
  }
}

const bind = (server: Server, path: string): Promise<number> =>
  new Promise((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    );
  });

async function shutDown(server: Server, graceMs: number): Promise<void> {
  const ended = new Promise<true>((resolve) => server.tryShutdown(() => resolve(true)));
  if ((await inTime(ended, graceMs)) === undefined) server.forceShutdown();
}
