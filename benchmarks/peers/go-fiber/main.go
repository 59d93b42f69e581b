// The cases as a Fiber user writes them.
package main

import (
	"log"
	"os"

	"github.com/go-playground/validator/v10"
	"github.com/gofiber/fiber/v2"
)

func main() {
	validate := validator.New(validator.WithRequiredStructEnabled())
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	app.Get("/plaintext", func(c *fiber.Ctx) error { return c.SendString("Hello, World!") })
	app.Get("/json", func(c *fiber.Ctx) error { return c.JSON(Message{"Hello, World!"}) })
	app.Post("/order", func(c *fiber.Ctx) error {
		var order Order
		if err := c.BodyParser(&order); err != nil {
			return fiber.NewError(fiber.StatusUnprocessableEntity, err.Error())
		}
		if err := validate.Struct(&order); err != nil {
			return fiber.NewError(fiber.StatusUnprocessableEntity, err.Error())
		}
		return c.JSON(accept(&order))
	})
	log.Fatal(app.Listen("127.0.0.1:" + os.Args[1]))
}
