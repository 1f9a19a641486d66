import { type Peer, type PeerContext, type PeerKind, peerKinds, startPeer } from './peers.ts';

/** How much is measured; all of it in a few minutes, or so little that the figures are rough. */
export interface Effort {
  readonly isQuick: boolean;
  /** Times that everybody has their turn. */
  readonly rounds: number;
  readonly warmUpSeconds: number;
  /** Of small requests, for each peer and round. */
  readonly smallSeconds: number;
  /** Blobs at the same time, each of 256 MiB. */
  readonly blobClients: number;
  /** Of whatever is slow on purpose. */
  readonly slowSeconds: number;
}

/** What the parts of a run have in common; `folder` is a part's own. */
export interface PartContext extends PeerContext {
  readonly effort: Effort;
  /** Registries speak TLS. */
  readonly isTls: boolean;
  /** Whether this proxy is to be measured where all are. */
  isWanted(kind: PeerKind): boolean;
  readonly report: (line: string) => void;
}

export interface Findings {
  /** Tables and lists. */
  readonly markdown: string;
  /** What should hold on every machine, and did not. */
  readonly failures: readonly string[];
}

/** A part of the benchmark that can be run alone. */
export interface Part {
  readonly name: string;
  /** Above its findings in the report. */
  readonly title: string;
  run(context: PartContext): Promise<Findings>;
}

/** Starts a proxy by its name. */
export function startNamed(name: string, context: PartContext): Promise<Peer> {
  const kind = peerKinds.find((one) => one.name === name);
  if (kind === undefined) throw new Error(`there is no proxy "${name}"`);
  return startPeer(kind, context);
}
