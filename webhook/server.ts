import type { ServerOptions } from 'node:https';
import fastify, {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  LogController,
} from 'fastify';
import type { ConnectorStore } from '../connectors/catalogue.ts';
import { BodyBudget, isWithinBounds } from './body-bounds.ts';
import type { Decision } from './decision.ts';
import { type MutationSettings, mutatePod } from './mutate-pod.ts';
import { isAboutPodContent, parseReview, type ReviewRequest } from './review.ts';
import { formatReview, formatStatus } from './review-answer.ts';
import { toAscii } from './warnings.ts';

/**
 * `/mutate` goes by the labels. A cluster has two webhooks, because pods of namespaces that opted in must not be created
 * unseen, and others may: their paths say which of them was called.
 */
const paths = { '/mutate': undefined, '/mutate/namespaces': 'namespace', '/mutate/pods': 'pod' } as const;
type Path = keyof typeof paths;
const jsonType = 'application/json';
/** The API server takes requests of 3 MiB; a review holds the object twice. */
const bodyBytesMax = 8 * 1024 * 1024;
const tooLarge = `the body is larger than ${bodyBytesMax} bytes`;
/** Anybody in the cluster may reach us: all bodies at once are bounded, whoever sends them. */
const allBodiesBytesMax = 32 * 1024 * 1024;
/** Reviews of ordinary pods always get in: whoever holds the room for large ones does not keep them out. */
const smallBodyBytes = 65_536;
/** The API server sends a body at once; the longest `timeoutSeconds` of a webhook is 30. */
const requestTimeoutMs = 15_000;

export interface WebhookDependencies extends MutationSettings {
  readonly store: ConnectorStore;
  /** Key and certificate, and whatever else TLS needs; plain HTTP without. */
  readonly https?: ServerOptions;
  readonly logger: FastifyBaseLogger | false;
  /** Called after each decision, for metrics. */
  readonly onDecision?: (decision: Decision, request: ReviewRequest) => void;
  /** Called after each answer, for metrics. */
  readonly onAnswer?: (seconds: number) => void;
}

/**
 * The admission webhook, `POST /mutate`. It does not listen. With `https` its `.server` is a `node:https` server, whose
 * `setSecureContext` changes the certificate.
 */
export function buildWebhook(dependencies: WebhookDependencies): FastifyInstance {
  const app = createServer(dependencies);
  // The pod goes in as it came: the parser of fastify refuses bodies that have a key named "__proto__".
  app.removeAllContentTypeParsers();
  boundBodies(app);
  app.addContentTypeParser<string>(jsonType, { parseAs: 'string' }, (_request, body, done) => {
    if (!isWithinBounds(body)) return done(new MalformedBodyError('it is deeper, or has more parts, than any review'));
    const parsed = parseJson(body);
    if (parsed.ok) done(null, parsed.value);
    else done(new MalformedBodyError(parsed.reason));
  });
  app.setErrorHandler<FastifyError>((error, request, reply) => answerError(error, request.log, reply));
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '';
    if (!Object.hasOwn(paths, path)) {
      return refuse(reply, 404, 'NotFound', `there is only POST ${Object.keys(paths).join(', ')}`);
    }
    return refuse(reply.header('allow', 'POST'), 405, 'MethodNotAllowed', `${path} takes POST only`);
  });
  const { onAnswer } = dependencies;
  if (onAnswer !== undefined) {
    app.addHook('onResponse', async (_request, reply) => onAnswer(reply.elapsedTime / 1000));
  }
  for (const path of Object.keys(paths) as Path[]) {
    app.post(path, (request, reply) => {
      const review = parseReview(request.body);
      if (!review.ok) return refuse(reply, 400, 'BadRequest', review.reason);
      const answer = answerReview(review.request, paths[path], dependencies, request.log);
      return reply.header('content-type', jsonType).send(answer);
    });
  }
  return app;
}

function createServer({ https, logger }: WebhookDependencies): FastifyInstance {
  const options = {
    bodyLimit: bodyBytesMax,
    requestTimeout: requestTimeoutMs,
    logController: new LogController({ disableRequestLogging: true }),
    ...(logger === false ? { logger } : { loggerInstance: logger }),
  };
  // fastify gives each kind of server its own type; nothing below tells them apart.
  return https === undefined ? fastify(options) : (fastify({ ...options, https }) as unknown as FastifyInstance);
}

function answerReview(
  request: ReviewRequest,
  selectedBy: (typeof paths)[Path],
  dependencies: WebhookDependencies,
  log: FastifyBaseLogger,
): string {
  if (!isAboutPodContent(request)) return formatReview(request.uid, notOurs(request));
  const decision = mutatePod({
    pod: request.object,
    oldPod: request.oldObject,
    operation: request.operation === 'CREATE' ? 'CREATE' : 'UPDATE',
    subresource: request.subresource,
    selectedBy,
    namespace: request.namespace,
    catalogue: dependencies.store.catalogue,
    settings: dependencies,
  });
  dependencies.onDecision?.(decision, request);
  const { uid, namespace, name, operation, dryRun } = request;
  const { outcome, auditAnnotations } = decision;
  log.debug({ uid, namespace, pod: name, operation, dryRun, outcome, ...auditAnnotations }, 'pod reviewed');
  return formatReview(uid, decision);
}

function notOurs({ resource }: ReviewRequest): Pick<Decision, 'warnings' | 'patch' | 'auditAnnotations'> {
  const warning = `oci-connector's webhook is registered for ${resource}, but it is for pods only`;
  return { patch: [], warnings: resource === 'pods' ? [] : [toAscii(warning)], auditAnnotations: {} };
}

/** Before a body is read: its length has to be known, and there has to be room for it. */
function boundBodies(app: FastifyInstance): void {
  const budget = new BodyBudget(allBodiesBytesMax);
  app.addHook('onRequest', (request, reply, done) => {
    // Whatever the path and the method: the bodies of what is refused are read, too.
    const isUnknown = request.headers['transfer-encoding'] !== undefined;
    const length = isUnknown ? Number.NaN : Number(request.headers['content-length'] ?? 0);
    if (!Number.isInteger(length)) {
      return void refuse(reply, 411, 'LengthRequired', 'the length of the body has to be known');
    }
    if (length <= smallBodyBytes) return done();
    if (length > bodyBytesMax || !budget.take(length)) {
      const isTooLarge = length > bodyBytesMax;
      const [code, reason] = isTooLarge
        ? ([413, 'RequestEntityTooLarge'] as const)
        : ([429, 'TooManyRequests'] as const);
      // The rest of the body is not read.
      reply.header('connection', 'close');
      return void refuse(reply, code, reason, isTooLarge ? tooLarge : 'too much is asked at once: try again');
    }
    reply.raw.once('close', () => budget.giveBack(length));
    done();
  });
}

type ParsedJson = { ok: true; value: unknown } | { ok: false; reason: string };

function parseJson(text: string): ParsedJson {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

class MalformedBodyError extends Error {
  readonly statusCode = 400;

  constructor(reason: string) {
    super(`the body is not JSON: ${reason}`);
    this.name = 'MalformedBodyError';
  }
}

function answerError(error: Partial<FastifyError> & Error, log: FastifyBaseLogger, reply: FastifyReply): FastifyReply {
  const { statusCode = 500 } = error;
  if (statusCode === 413) {
    return refuse(reply, 413, 'RequestEntityTooLarge', tooLarge);
  }
  if (statusCode === 415) {
    return refuse(reply, 415, 'UnsupportedMediaType', `the content type is not supported: send ${jsonType}`);
  }
  if (statusCode >= 400 && statusCode < 500) return refuse(reply, statusCode, 'BadRequest', error.message);
  log.error({ err: error }, 'cannot decide about a pod');
  return refuse(reply, 500, 'InternalError', 'oci-connector cannot decide about this pod at present: see its log');
}

const refuse = (reply: FastifyReply, code: number, reason: string, message: string): FastifyReply =>
  reply
    .code(code)
    .header('content-type', jsonType)
    .send(formatStatus(code, reason, message));
