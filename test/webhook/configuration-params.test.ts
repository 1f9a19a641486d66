import { expect, it } from 'vitest';
import type { ConnectorClass } from '../../connectors/schema.ts';
import { catalogueOf, connectorClass } from './classes.ts';
import { at, mutate, podOf } from './fixtures.ts';

const base = connectorClass('narrow', {});
const narrow: ConnectorClass = {
  ...base,
  spec: {
    ...base.spec,
    configurations: [
      { name: 'plain' },
      {
        name: 'tool',
        params: [
          { name: 'scheme', default: 'http' },
          { name: 'folder', default: '' },
        ],
      },
      { name: 'strict', params: [{ name: 'needed' }] },
    ],
  },
};
const catalogue = catalogueOf({ first: 'narrow' }, [narrow]);

/** The attributes of the volume of a pod with these annotations, and the warnings. */
function attributesFor(names: string, params: string, classes = catalogue) {
  const annotations = {
    'connectors.cpaas.io/configurations': names,
    'connectors.cpaas.io/configuration-params': params,
  };
  const { pod, warnings } = mutate(podOf('harbor.example.com/app', { annotations }), { catalogue: classes });
  expect(mutate(pod, { catalogue: classes }).patch).toEqual([]);
  const attributes = at(pod, 'spec.volumes.0.csi.volumeAttributes') as Record<string, string> | undefined;
  return { names: attributes?.['configuration.names'], params: attributes?.['configuration.params'], warnings };
}

it.each([
  ['tool', '{"tool": {"scheme": "https", "folder": "/x"}}', '{"tool":{"scheme":"https","folder":"/x"}}'],
  ['tool', '{"other": {"x": "y"}, "tool": {"scheme": "https"}}', '{"tool":{"scheme":"https"}}'],
  ['plain,tool', '{"tool": {}, "plain": {}}', '{"plain":{},"tool":{}}'],
  ['plain', '{"tool": {"scheme": "https"}}', undefined],
  ['plain', '{}', undefined],
  ['plain', ' ', undefined],
  ['strict', '{"strict": {"needed": "x"}}', '{"strict":{"needed":"x"}}'],
])('for %s the params %s are %s', (names, params, expected) => {
  expect(attributesFor(names, params)).toEqual({ names, params: expected, warnings: [] });
});

it.each([
  ['{', 'it has to be a JSON object'],
  ['[]', 'it has to be a JSON object'],
  ['null', 'it has to be a JSON object'],
  ['{"tool": "https"}', '"tool" has to be an object'],
  ['{"tool": {"scheme": 1}}', '"scheme" of "tool" has to be a text'],
  ['{"tool": {"__proto__": null}}', '"__proto__" of "tool" has to be a text'],
  [`{"tool": {"scheme": "${'x'.repeat(16_384)}"}}`, 'longer than 16384 characters'],
])('params that are none are not acted on, with a warning: %s', (params, why) => {
  expect(attributesFor('tool', params)).toEqual({
    names: 'tool',
    params: undefined,
    warnings: [expect.stringContaining(why)],
  });
});

it('params that the class does not declare are left out, and the configuration comes with its defaults', () => {
  expect(attributesFor('tool', '{"tool": {"schema": "https"}}')).toEqual({
    names: 'tool',
    params: undefined,
    warnings: [expect.stringContaining('has no parameter "schema"')],
  });
});

it('a configuration that cannot do without a param is left out, because its volume would never get ready', () => {
  expect(attributesFor('strict,plain', '')).toMatchObject({
    names: 'plain',
    warnings: [expect.stringContaining('needs parameter "needed"')],
  });
});

it('params are passed on where no class can be read', () => {
  const params = '{"tool":{"schema":"https"}}';
  expect(attributesFor('tool', params, catalogueOf({ first: 'nowhere' }, []))).toMatchObject({ names: 'tool', params });
});

it('a volume of an earlier pass gets the params of today', () => {
  const pod = (params: object) => ({
    'connectors.cpaas.io/configurations': 'tool',
    'connectors.cpaas.io/configuration-params': JSON.stringify(params),
  });
  const once = mutate(podOf('harbor.example.com/app', { annotations: pod({ tool: { scheme: 'https' } }) }), {
    catalogue,
  }).pod as { metadata: object };
  for (const params of [{}, { tool: { scheme: 'http' } }]) {
    const meddled = { ...once, metadata: { ...once.metadata, annotations: pod(params) } };
    const attributes = at(mutate(meddled, { catalogue }).pod, 'spec.volumes.0.csi.volumeAttributes');
    const expected = Object.keys(params).length === 0 ? undefined : JSON.stringify(params);
    expect((attributes as Record<string, string>)['configuration.params']).toBe(expected);
  }
});

it.each([
  ['params', 'tool', `{"tool": {"folder": "${'x'.repeat(8_192)}"}}`, 'configuration.params'],
  [
    'names',
    `tool,${Array.from({ length: 40 }, (_, at) => `!${'f'.repeat(240)}${at}`).join(',')}`,
    '',
    'configuration.names',
  ],
])('with %s that the driver would refuse nothing is mounted, with a warning', (_what, names, params, attribute) => {
  expect(attributesFor(names, params)).toEqual({
    names: undefined,
    params: undefined,
    warnings: [expect.stringContaining(`attribute ${attribute} of its volume would have more than 8192 characters`)],
  });
});
