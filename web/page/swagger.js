'use strict';

const followColours = () => document.documentElement.classList.toggle('dark-mode', ashlar.prefersDark.matches);
followColours();
ashlar.prefersDark.addEventListener('change', followColours);

// Known only while this script is loaded.
const oauth2RedirectUrl = new URL('../swagger-ui/oauth2-redirect.html', document.currentScript.src).href;

ashlar
  .document()
  .then((spec) => {
    SwaggerUIBundle({
      spec,
      dom_id: '#api',
      deepLinking: true,
      displayRequestDuration: true,
      defaultModelsExpandDepth: 0,
      validatorUrl: null,
      oauth2RedirectUrl,
      presets: [SwaggerUIBundle.presets.apis],
    });
  })
  .catch(ashlar.fail);
