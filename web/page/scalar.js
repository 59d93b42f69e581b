'use strict';

// The one that most operations ask for is there to be filled in.
const usualScheme = (spec) => {
  const uses = Object.values(spec.paths ?? {})
    .flatMap((item) => Object.values(item))
    .flatMap((operation) => operation.security ?? [])
    .flatMap((requirement) => Object.keys(requirement));
  const count = (name) => uses.filter((one) => one === name).length;
  return Object.keys(spec.components?.securitySchemes ?? {}).sort((a, b) => count(b) - count(a))[0];
};

ashlar
  .document()
  .then((spec) => {
    const configuration = () => ({
      content: spec,
      forceDarkModeState: ashlar.prefersDark.matches ? 'dark' : 'light',
      hideDarkModeToggle: true,
      authentication: {preferredSecurityScheme: usualScheme(spec)},
      // Nothing leaves this service: no fonts, proxy, or assistant of another host.
      withDefaultFonts: false,
      proxyUrl: '',
      telemetry: false,
      agent: {disabled: true},
      mcp: {disabled: true},
      hideClientButton: true,
      showDeveloperTools: 'never',
      customCss: ':root { --scalar-custom-header-height: 44px; }',
    });
    const reference = Scalar.createApiReference('#api', configuration());
    ashlar.prefersDark.addEventListener('change', () => reference.updateConfiguration(configuration()));
  })
  .catch(ashlar.fail);
