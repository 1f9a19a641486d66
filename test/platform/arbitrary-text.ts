import fc from 'fast-check';

const character = fc
  .oneof(fc.integer({ min: 0x20, max: 0x7e }), fc.integer({ min: 0, max: 0xff }), fc.integer({ min: 0, max: 0xffff }))
  .map((code) => String.fromCharCode(code));

/** Any text, halves of surrogate pairs and controls too. (`unit: 'binary'` takes a second to set itself up.) */
export const arbitraryText = (lengths: { minLength?: number; maxLength?: number } = {}): fc.Arbitrary<string> =>
  fc.string({ unit: character, ...lengths });
