import fc from 'fast-check';
import { isConnectorName, isNamespaceName } from '../../connectors/address.ts';
import { buildCatalogue } from '../../connectors/catalogue.ts';
import { parseManifests } from '../../connectors/manifest.ts';
import { readRefusal } from '../../platform/centre/refusal.ts';
import { proxyAuthorization, proxyFor } from '../../platform/environment-proxy.ts';
import { ProxyError } from '../../platform/errors.ts';
import { callerAnswer, grantAnswer, grantQuestion, readConnector, selfAnswer } from '../../proxy/agent-protocol.ts';
import { CallersFileError, parseCallers } from '../../proxy/callers-file.ts';
import { arbitraryText } from '../platform/arbitrary-text.ts';
import { connectorTo } from '../support/proxy.ts';
import { type Fuzzed, fuzzed, mutated, promise, unlessRefused } from './fuzzed.ts';

const secret = 'Canary0fThePassword7f3a';
const yamlPieces = fc.constantFrom(
  ...[
    '&a ',
    '*a',
    '<<: *a',
    '- ',
    '? ',
    '{',
    '}',
    '[',
    ']',
    '|',
    '>',
    '!!binary ',
    '!x ',
    '---\n',
    '...\n',
    '%YAML 1.2\n',
    '#',
    '\t',
    "'",
    '"',
    '\n  ',
  ],
);
const manifestText = connectorTo('https://registry.example.com/team', { username: 'robot', password: secret })
  .map((document) => JSON.stringify(document, undefined, 1).replace(/^( +)"(\w+)":/gm, '$1$2:'))
  .join('\n---\n');
const manifestTexts = fc
  .tuple(mutated(fc.constant(manifestText)), fc.array(fc.tuple(fc.nat(), yamlPieces), { maxLength: 3 }))
  .map(([text, added]) =>
    added.reduce((whole, [place, piece]) => {
      const at = place % (whole.length + 1);
      return whole.slice(0, at) + piece + whole.slice(at);
    }, text),
  );

const manifests = fuzzed(
  'manifests of connectors',
  fc.property(manifestTexts, (text) => {
    const { documents, problems } = parseManifests(text, 'file.yaml');
    const lines = text.split(/\n/).length;
    for (const { line, message } of problems) {
      promise(Number.isInteger(line) && line >= 1 && line <= lines + 1, 'a line that is not there', { line, lines });
      promise(!message.includes(secret), 'a message quotes a Secret', message);
    }
    const catalogue = buildCatalogue(documents.map(({ value }) => value));
    for (const { key, address } of catalogue.connectors) {
      promise(isNamespaceName(key.namespace) && isConnectorName(key.name), 'no names', key);
      promise(address.origin === '' || /^https?:\/\/[^/@]+$/.test(address.origin), 'no origin', address);
    }
  }),
);

const callersText = JSON.stringify({
  callers: [{ name: 'ci', token: secret, connectors: ['demo/registry', 'team/*'], actions: ['pull', 'push'] }],
});
const callers = fuzzed(
  'callers file',
  fc.property(mutated(fc.constant(callersText)), (text) => {
    const isRefusal = (error: unknown): boolean => error instanceof CallersFileError && !error.message.includes(secret);
    const found = unlessRefused(() => parseCallers(text, 'callers.json'), isRefusal);
    if (found === undefined) return;
    for (const guess of ['', ' ', 'undefined', `${secret}x`, secret.slice(1)]) {
      promise(text.includes(guess) || found.identify(guess) === undefined, 'a stranger is known', guess);
    }
    promise(found.identify(undefined) === undefined, 'nobody is known');
  }),
);

const answerText = JSON.stringify({
  caller: 'ci',
  connector: {
    key: { namespace: 'demo', name: 'registry' },
    uid: 'u',
    revision: 'r',
    address: { origin: 'https://registry.example.com', registries: ['registry.example.com'], pathPrefix: '' },
    redirect: 'handover',
    trustedHosts: [],
  },
  grant: { kind: 'authorization', value: 'Bearer x', expiresAt: 1 },
  code: 'ACCESS_DENIED',
  message: 'no',
  token: 'x',
  repository: 'team/app',
});
const agent = fuzzed(
  'words between agents and the centre',
  fc.property(fc.oneof({ weight: 4, arbitrary: mutated(fc.constant(answerText)) }, fc.json()), (text) => {
    const value = unlessRefused<unknown>(
      () => JSON.parse(text),
      (error) => error instanceof SyntaxError,
    );
    const refusal = readRefusal(value);
    if (refusal !== undefined) {
      promise(refusal instanceof ProxyError && refusal.status >= 400, 'no refusal', refusal);
      promise(Array.isArray(JSON.parse(refusal.toBody()).errors), 'no error body', refusal);
    }
    const answer = grantAnswer.safeParse(value).data;
    if (answer !== undefined) {
      const { key, credentials } = readConnector(answer);
      promise(
        isNamespaceName(key.namespace) && isConnectorName(key.name) && credentials.length === 0,
        'no connector',
        key,
      );
    }
    const question = grantQuestion.safeParse(value).data;
    promise(question === undefined || /^[a-z0-9._/-]+$/.test(question.repository), 'no repository', question);
    for (const schema of [callerAnswer, selfAnswer]) schema.safeParse(value);
    promise(({} as Record<string, unknown>)['kind'] === undefined, 'a prototype was changed');
  }),
);

const proxies = mutated(
  fc.constantFrom('http://proxy.example.com:3128', `https://user:${secret}@proxy`, 'proxy:3128', 'socks5://x', ''),
);
const exceptions = mutated(
  fc.constantFrom('.example.com,10.0.0.0/8', '*', 'example.com:443', '::1/128,[::1]', 'a/33', '*.x, y'),
);
const origins = fc.constantFrom(
  ...[
    'https://registry.example.com',
    'http://registry.example.com:5000',
    'http://127.0.0.1:5000',
    'https://[::1]:5000',
  ],
  ...['https://localhost', 'http://x.localhost:1', 'http://10.1.2.3', 'https://[fd00::1]'],
);
const environment = fuzzed(
  'proxy settings of the environment',
  fc.property(origins, proxies, proxies, exceptions, (text, httpProxy, httpsProxy, noProxy) => {
    const origin = new URL(text);
    const isRefusal = (error: unknown): boolean => error instanceof Error && /^HTTPS?_PROXY is not/.test(error.message);
    const found = unlessRefused(() => proxyFor(origin, { httpProxy, httpsProxy, noProxy }), isRefusal);
    if (found === undefined) return;
    promise(/^https?:$/.test(found.protocol) && found.host !== '', 'no proxy', found.href);
    promise(!/^(127\.|\[::1\]|(.*\.)?localhost$)/.test(origin.hostname), 'loopback is proxied', text);
    promise(!noProxy.split(',').some((entry) => entry.trim() === '*'), 'an exception that is none', noProxy);
    const authorization = proxyAuthorization(found);
    promise(authorization === undefined || /^Basic [A-Za-z0-9+/]*=*$/.test(authorization), 'no header', authorization);
  }),
);
const anyException = fuzzed(
  'NO_PROXY',
  fc.property(origins, arbitraryText(), (text, noProxy) => {
    const found = proxyFor(new URL(text), { httpProxy: 'http://p', httpsProxy: 'http://p', noProxy });
    promise(found === undefined || found.host === 'p', 'another proxy', noProxy);
  }),
);

export const documents: readonly Fuzzed[] = [manifests, callers, agent, environment, anyException];
