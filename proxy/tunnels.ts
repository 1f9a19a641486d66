import type { Socket } from 'node:net';
import { ProxyError } from '../platform/errors.ts';
import type { Authority } from './forward-proxy-authority.ts';
import { dialTunnel, joinTunnel, type TunnelDialOptions, type TunnelEnd } from './tunnel.ts';

export interface TunnelsOptions extends TunnelDialOptions {
  /** Tunnels of one caller at a time. */
  readonly perCaller?: number;
}

export interface TunnelWant {
  readonly authority: Authority;
  /** The host is allowed by a wildcard, and not by its own name. */
  readonly isWildcard: boolean;
  /** Name of the caller. */
  readonly caller: string;
}

const defaultPerCaller = 64;
/** While the listener ends, a tunnel in which nothing moves for this long is done: nobody can ask what is in it. */
const endingIdleMs = 5_000;

/** The tunnels to hosts of no connector: bounded by caller, and ended with the listener. */
export class Tunnels {
  readonly #options: TunnelsOptions;
  readonly #counts = new Map<string, number>();
  readonly #sockets = new Set<Socket>();
  #idleMs: number;

  constructor(idleMs: number, options: TunnelsOptions = {}) {
    this.#idleMs = idleMs;
    this.#options = options;
  }

  /**
   * Opens a tunnel, calls `onOpen` before the first byte goes through, and resolves when it has ended.
   * @throws ProxyError CALLER_LIMITED, TARGET_FORBIDDEN, UPSTREAM_UNREACHABLE or UPSTREAM_TIMEOUT
   */
  async run(client: Socket, want: TunnelWant, signal: AbortSignal, onOpen: () => void): Promise<TunnelEnd> {
    const { authority, isWildcard, caller } = want;
    const leave = this.#enter(caller);
    try {
      const host = await dialTunnel(authority, isWildcard, this.#options, signal);
      this.#sockets.add(client).add(host);
      try {
        onOpen();
        return await joinTunnel(client, host, this.#idleMs);
      } finally {
        this.#sockets.delete(client);
        this.#sockets.delete(host);
      }
    } finally {
      leave();
    }
  }

  /** From now on tunnels end when nothing moves in them. */
  endIdle(): void {
    this.#idleMs = Math.min(this.#idleMs, endingIdleMs);
    for (const socket of this.#sockets) socket.setTimeout(this.#idleMs);
  }

  #enter(caller: string): () => void {
    const max = this.#options.perCaller ?? defaultPerCaller;
    const count = this.#counts.get(caller) ?? 0;
    if (count >= max) throw new ProxyError('CALLER_LIMITED', `${caller} has ${max} tunnels open already`, { caller });
    this.#counts.set(caller, count + 1);
    return () => {
      const left = (this.#counts.get(caller) ?? 1) - 1;
      if (left === 0) this.#counts.delete(caller);
      else this.#counts.set(caller, left);
    };
  }
}
