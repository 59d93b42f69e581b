'use strict';

ashlar
  .document()
  .then((spec) => {
    const configuration = () => ({
      content: spec,
      forceDarkModeState: ashlar.prefersDark.matches ? 'dark' : 'light',
      hideDarkModeToggle: true,
      authentication: {preferredSecurityScheme: Object.keys(spec.components?.securitySchemes ?? {})[0]},
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
