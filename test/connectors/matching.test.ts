import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatKey, parseKey } from '../../connectors/address.ts';
import { parseImageReference } from '../../connectors/image-reference.ts';
import { ConnectorIndex, type Matchable, matches } from '../../connectors/matching.ts';
import { parseRegistryAddress } from '../../connectors/registry-address.ts';

function connector(key: string, text: string): Matchable {
  const parsed = parseRegistryAddress(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return { key: parseKey(key, 'own') ?? { namespace: '', name: '' }, address: parsed.address };
}

function referenceOf(image: string) {
  const parsed = parseImageReference(image);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.reference;
}

const scope = { namespace: 'own', sharedNamespace: 'kube-public' };

function find(connectors: readonly Matchable[], image: string) {
  const found = new ConnectorIndex(connectors).find(referenceOf(image), scope);
  return found && [found.connector, ...found.rivals].map(({ key }) => formatKey(key));
}

const connectors = [
  connector('own/hub', 'https://docker.io'),
  connector('own/official', 'https://index.docker.io/library'),
  connector('own/harbor', 'https://harbor.example.com'),
  connector('own/team', 'https://harbor.example.com/team'),
  connector('own/plain', 'http://plain.example.com'),
  connector('own/port', 'https://port.example.com:5000'),
  connector('own/six', 'https://[2001:db8::1]:5000'),
  connector('own/b', 'https://twin.example.com/x'),
  connector('own/a', 'https://twin.example.com/x/'),
  connector('kube-public/shared', 'https://shared.example.com'),
  connector('kube-public/deep', 'https://harbor.example.com/team/deep'),
  connector('kube-public/team', 'https://harbor.example.com/team'),
  connector('kube-public/a0', 'https://twin.example.com/x'),
  connector('other/ghcr', 'https://ghcr.io'),
];

describe('an image', () => {
  test.each<[image: string, keys: string[] | undefined]>([
    ['nginx', ['own/official']],
    ['docker.io/library/nginx', ['own/official']],
    ['registry-1.docker.io/nginx', ['own/official']],
    ['team/nginx', ['own/hub']],
    ['harbor.example.com/app', ['own/harbor']],
    ['HARBOR.example.com:443/app', ['own/harbor']],
    ['harbor.example.com:80/app', undefined],
    ['harbor.example.com/team', ['own/team']],
    ['harbor.example.com/team/app', ['own/team']],
    ['harbor.example.com/teamwork/app', ['own/harbor']],
    ['harbor.example.com/team/deep/app', ['kube-public/deep']],
    ['plain.example.com:80/app', ['own/plain']],
    ['plain.example.com/app', ['own/plain']],
    ['port.example.com:05000/app', ['own/port']],
    ['port.example.com/app', undefined],
    ['[2001:DB8:0:0::1]:5000/app', ['own/six']],
    ['twin.example.com/x/app', ['own/a', 'own/b']],
    ['twin.example.com/y', undefined],
    ['shared.example.com/app', ['kube-public/shared']],
    ['ghcr.io/app', undefined],
    ['constructor.example.com/app', undefined],
  ])('%s finds %j', (image, keys) => {
    expect(find(connectors, image)).toEqual(keys);
  });

  test('finds connectors whatever order they come in', () => {
    const image = fc.constantFrom('nginx', 'twin.example.com/x/y', 'harbor.example.com/team/deep/app', 'x/y');
    const order = fc.shuffledSubarray(connectors, { minLength: connectors.length });
    fc.assert(
      fc.property(order, image, (shuffled, text) => {
        expect(find(shuffled, text)).toEqual(find(connectors, text));
      }),
    );
  });

  test('finds what a search through all connectors finds', () => {
    const path = fc.array(fc.constantFrom('a', 'b', 'ab'), { maxLength: 4 }).map((parts) => parts.join('/'));
    const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1 });
    const some = fc
      .tuple(names, fc.constantFrom('own', 'kube-public', 'other'), path)
      .map(([list, namespace, prefix]) =>
        list.map((name) => connector(`${namespace}/${name}`, `r.example.com/${prefix}`)),
      );
    fc.assert(
      fc.property(fc.array(some, { maxLength: 5 }), path, (lists, repository) => {
        const all = [...new Map(lists.flat().map((one) => [formatKey(one.key), one])).values()];
        const reference = referenceOf(`r.example.com/x/${repository}`.replace('/x/', repository === '' ? '/x' : '/'));
        const rank = ({ key, address }: Matchable) =>
          `${String(999 - address.pathPrefix.length)} ${key.namespace === 'own' ? 0 : 1} ${key.name}`;
        const [best] = all
          .filter((one) => one.key.namespace !== 'other' && matches(one, reference))
          .sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
        expect(new ConnectorIndex(all).find(reference, scope)?.connector).toBe(best);
      }),
    );
  });

  test('of the shared namespace itself finds each connector once', () => {
    const index = new ConnectorIndex(connectors);
    const shared = { namespace: 'kube-public', sharedNamespace: 'kube-public' };
    expect(index.find(referenceOf('twin.example.com/x'), shared)?.rivals).toEqual([]);
  });
});

describe('an index that changes', () => {
  const pool = connectors.concat([
    connector('own/dot', 'https://twin.example.com/x'),
    connector('kube-public/hub', 'https://docker.io'),
  ]);
  const images = [
    'nginx',
    'team/nginx',
    'harbor.example.com/app',
    'harbor.example.com/team/deep/app',
    'twin.example.com/x',
    'port.example.com:5000/app',
    'shared.example.com/app',
  ].map(referenceOf);
  const answersOf = (index: ConnectorIndex<Matchable>) =>
    images.map((image) => {
      const found = index.find(image, scope);
      return found && [found.connector, ...found.rivals].map(({ key }) => formatKey(key));
    });

  test('answers as one that was built of what is in it', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(pool.length - 1), { maxLength: 60 }), (steps) => {
        const index = new ConnectorIndex<Matchable>();
        const present = new Set<Matchable>();
        for (const step of steps) {
          const chosen = pool[step] as Matchable;
          if (present.delete(chosen)) index.delete(chosen);
          else {
            present.add(chosen);
            index.add(chosen);
          }
        }
        expect(answersOf(index)).toEqual(answersOf(new ConnectorIndex(present)));
      }),
    );
  });

  test('takes out the very object, and not one that is like it', () => {
    const [old, young] = [connector('own/a', 'https://x.example.com'), connector('own/a', 'https://x.example.com')];
    const index = new ConnectorIndex([old]);
    index.delete(young);
    expect(index.find(referenceOf('x.example.com/app'), scope)?.connector).toBe(old);
    index.delete(old);
    index.add(young);
    expect(index.find(referenceOf('x.example.com/app'), scope)).toEqual({ connector: young, rivals: [] });
  });

  test('hears of what it does not have without harm', () => {
    const index = new ConnectorIndex<Matchable>();
    index.delete(connector('own/a', 'https://x.example.com'));
    index.add({ key: { namespace: 'own', name: 'nowhere' }, address: { origin: '', registries: [], pathPrefix: '' } });
    expect(answersOf(index).every((answer) => answer === undefined)).toBe(true);
  });
});
