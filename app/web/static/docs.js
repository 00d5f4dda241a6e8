"use strict";
// Reading only: nobody changes anything from here by a slip. Nothing is asked of anybody else, and no token is kept.
window.addEventListener("load", () => {
  window.SwaggerUIBundle({
    dom_id: "#docs",
    url: "/openapi.json",
    validatorUrl: null,
    supportedSubmitMethods: ["get"],
    persistAuthorization: false,
    queryConfigEnabled: false,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
  });
});
