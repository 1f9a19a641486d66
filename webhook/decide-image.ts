import { connectorOfImage, formatKey, imageAddress } from '../connectors/address.ts';
import type { ConnectorCatalogue } from '../connectors/catalogue.ts';
import type { ResolvedConnector } from '../connectors/connector.ts';
import {
  type ImageReference,
  imageNameLengthMax,
  parseImageReference,
  repositoryOf,
} from '../connectors/image-reference.ts';
import { matches } from '../connectors/matching.ts';
import type { ConnectorChoice } from './connector-choice.ts';
import type { ImageVerdict } from './decision.ts';

/** What the images of one pod are decided by. */
export interface ImageScope {
  readonly namespace: string;
  readonly catalogue: ConnectorCatalogue;
  readonly proxyHost: string;
  readonly choice: ConnectorChoice;
}

/** Decides about one image: only the prefix of its name ever changes. */
export function decideImage(image: string, pullPolicy: string | undefined, scope: ImageScope): ImageVerdict {
  if (pullPolicy === 'Never') return { reason: 'PullPolicyNever' };
  const parsed = parseImageReference(image);
  if (!parsed.ok) return { reason: 'InvalidReference', message: parsed.reason };
  const { reference } = parsed;
  const named = connectorOfImage(reference.domain, reference.path, scope.proxyHost);
  return named === undefined ? decideReference(reference, scope) : { reason: 'AlreadyProxied', connector: named };
}

function decideReference(reference: ImageReference, scope: ImageScope): ImageVerdict {
  const { choice } = scope;
  if (choice.kind === 'unknown') return { reason: 'ConnectorUnknown' };
  if (choice.kind === 'only') {
    return matches(choice.connector, reference)
      ? route(reference, choice.connector, scope)
      : { reason: 'ConnectorNotMatching', connector: choice.connector.key };
  }
  const match = scope.catalogue.find(reference, scope.namespace);
  if (match === undefined) return { reason: 'NoConnector' };
  const verdict = route(reference, match.connector, scope);
  return match.rivals.length === 0 ? verdict : { ...verdict, rivals: match.rivals.map((rival) => rival.key) };
}

/** Mirrors of public images may do without us for a while; what is private cannot be pulled without us anyway. */
function route(reference: ImageReference, connector: ResolvedConnector, scope: ImageScope): ImageVerdict {
  if (connector.whenUnavailable === 'rewrite' || connector.isReady !== false)
    return rewrite(reference, connector, scope);
  const message = `connector ${formatKey(connector.key)} is not ready, and says whenUnavailable: keep`;
  return { reason: 'ConnectorNotReady', connector: connector.key, message };
}

function rewrite(reference: ImageReference, { key }: ResolvedConnector, scope: ImageScope): ImageVerdict {
  const name = `${imageAddress(scope.proxyHost, key)}/${repositoryOf(reference)}`;
  if (name.length <= imageNameLengthMax) {
    return { reason: 'Rewritten', rewritten: name + reference.suffix, connector: key };
  }
  const message = `its name behind connector ${formatKey(key)} would have ${name.length} characters, ${imageNameLengthMax} is the limit`;
  return { reason: 'NameTooLong', connector: key, message };
}
